// What a reader sees is kept in the address, after the anchor: #leaderboard?run.metric=misses&run.sort=seeds
"use strict";
const Address = (() => {
  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // not of this page's making
    }
  };
  const read = () => {
    const [anchor, ...rest] = location.hash.slice(1).split("?");
    return { anchor: decoded(anchor), state: new URLSearchParams(rest.join("?")) };
  };
  const hash = (anchor, state) => {
    const query = state.toString();
    return `#${encodeURIComponent(anchor)}${query ? `?${query}` : ""}`;
  };
  const go = (anchor) => document.getElementById(anchor)?.scrollIntoView();

  // Replace the state of one part of the page, whose names begin with `key` and a dot.
  const write = (key, values) => {
    const { anchor, state } = read();
    for (const name of [...state.keys()]) if (name.startsWith(`${key}.`)) state.delete(name);
    for (const [name, value] of values) state.append(`${key}.${name}`, value);
    const next = hash(anchor, state);
    if (next !== (location.hash || "#")) history.replaceState(null, "", next);
  };
  const of = (key) => {
    const own = new URLSearchParams();
    for (const [name, value] of read().state) {
      if (name.startsWith(`${key}.`)) own.append(name.slice(key.length + 1), value);
    }
    return own;
  };

  // Links within the page keep the state.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('a[href^="#"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { state } = read();
    if (!state.toString()) return;
    event.preventDefault();
    const anchor = decoded(link.getAttribute("href").slice(1));
    history.pushState(null, "", hash(anchor, state));
    go(anchor);
  });
  addEventListener("load", () => {
    const { anchor, state } = read();
    if (anchor && state.toString()) go(anchor);
  });
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details.fold:not([open])")) {
      fold.open = true;
      fold.dataset.opened = "";
    }
  });
  addEventListener("afterprint", () => {
    for (const fold of document.querySelectorAll("details[data-opened]")) {
      fold.open = false;
      delete fold.dataset.opened;
    }
  });
  return { write, of };
})();
