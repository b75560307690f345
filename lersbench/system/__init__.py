"""The machine underneath: files put in place whole, temporaries, the cache folder, processes, terminals."""
