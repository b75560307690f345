"""All runs of a folder of results: listed, compared, and written as a site."""
