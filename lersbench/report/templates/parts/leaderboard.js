// The leaderboard: which rows are shown, in which order, and how. Data in, elements out; it keeps no state.
"use strict";
const Leaderboard = (() => {
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };
  const MISSING = "-";
  const number = (value, digits, sign = false) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return MISSING;
    const rounded = Number(value.toFixed(digits)) + 0; // no -0
    const text = rounded.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return sign && rounded >= 0 ? `+${text}` : text;
  };
  const ends = (low, high, digits, sign = false) =>
    low === null || high === null ? MISSING : `[${number(low, digits, sign)}, ${number(high, digits, sign)}]`;
  const places = (pair) => (!pair ? MISSING : pair[0] === pair[1] ? `${pair[0]}` : `${pair[0]}-${pair[1]}`);
  const chance = (share) => {
    if (share === null || share === undefined) return MISSING;
    return share < 0.005 ? "<1" : share > 0.995 ? ">99" : number(100 * share, 0); // what was drawn is never certain
  };
  const scaled = (value, times) => (value === null || value === undefined ? null : value * times);

  // What a contender is called: with its regime only where several are shown.
  const label = (data, state, policy) => data.contenders[policy][state.regime ? "entry" : "label"];

  // The rankings that a state asks for: rows with what is known of their contender.
  const rows = (data, state) => {
    const board = data.boards[state.metric] ?? data.boards[data.metric];
    const wanted = board.rankings.filter(
      (one) => one.variant === state.case && (!state.regime || one.feedback === state.regime),
    );
    return wanted.flatMap((one) =>
      one.rows.map((row) => ({ ...row, variant: one.variant, ...data.contenders[row.policy], label: label(data, state, row.policy) })),
    );
  };
  const filtered = (all, state) => {
    const part = state.name.trim().toLowerCase();
    return all.filter(
      (row) => (!state.family || row.family === state.family) && (!part || row.label.toLowerCase().includes(part)),
    );
  };
  const key = (row, column) => {
    if (column === "policy") return row.label.toLowerCase();
    const cell = row[column];
    if (!Array.isArray(cell)) return cell ?? null;
    return column.startsWith("rank") ? cell[0] + cell[1] / 1e6 : cell[0];
  };
  const sorted = (some, state) => {
    if (!state.sort) return some;
    const sign = state.down ? -1 : 1;
    return [...some].sort((a, b) => {
      const [x, y] = [key(a, state.sort), key(b, state.sort)];
      if (x === null || y === null) return (x === null) - (y === null); // what is not known comes last
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
  };
  const columns = (data, state) => {
    const board = data.boards[state.metric] ?? data.boards[data.metric];
    return board.columns.filter((one) => state.columns || one.brief);
  };

  const bar = (row, range) => {
    const at = (value) => (100 * (value - range[0])) / (range[1] - range[0] || 1);
    const span = (low, high, kind) =>
      make("i", { class: kind, style: `left:${at(low)}%;width:${at(high) - at(low)}%` });
    const [mean, low, high] = row.value;
    const drawn = make("span", { class: "bar", "aria-hidden": "true" });
    const far = row.customers;
    if (far && far[0] !== null) drawn.append(span(far[0], far[1], "far"));
    if (low !== null) drawn.append(span(low, high, "near"));
    if (mean !== null) drawn.append(make("b", { style: `left:${at(mean)}%` }));
    return drawn;
  };
  const content = (row, column, range) => {
    const { kind, digits, times } = column;
    const cell = row[column.key];
    if (kind === "places") return places(cell);
    if (kind === "chance") return chance(cell);
    if (kind === "number") return number(scaled(cell, times), digits);
    const parts = (cell ?? []).map((value) => scaled(value, times));
    if (kind === "bar") return make("span", { class: "value" }, number(parts[0], digits), bar(row, range));
    if (kind === "gain") {
      const between = parts[1] === null ? "" : ` ${ends(parts[1], parts[2], digits, true)}`;
      return `${number(parts[0], digits, true)}${between}`;
    }
    if (parts[0] === null && column.key === "interval" && row.same) {
      return make("span", { class: "same" }, "same in every seed");
    }
    return ends(parts[0], parts[1], digits, column.key.startsWith("bracket"));
  };
  const range = (some) => {
    const values = some.flatMap((row) => [...(row.value ?? []), ...(row.customers ?? [])]).filter((x) => x !== null);
    return [Math.min(...values), Math.max(...values)];
  };

  const head = (columns, state) => {
    const cells = [{ key: "policy", heading: "policy", says: "" }, ...columns].map((column) => {
      const order = state.sort === column.key ? (state.down ? "descending" : "ascending") : null;
      const button = make("button", { type: "button", "data-sort": column.key, title: column.says }, column.heading);
      return make("th", { scope: "col", "aria-sort": order }, button);
    });
    return make("thead", {}, make("tr", {}, ...cells));
  };
  const line = (row, columns, span, gap) => {
    const cells = columns.map((column) => make("td", {}, content(row, column, span)));
    const kind = [row.baseline && "base", gap && "gap"].filter(Boolean).join(" ");
    return make("tr", { class: kind || null, "data-policy": row.policy }, make("th", { scope: "row" }, row.label), ...cells);
  };
  // The table of a state, of no more than `most` rows; the baseline is always among them.
  const table = (data, state, most) => {
    const all = rows(data, state);
    const some = sorted(filtered(all, state), state);
    const shown = state.rows || some.length <= most + 1 ? some : some.slice(0, most);
    const base = some.find((row) => row.baseline);
    const last = base && !shown.includes(base) ? [base] : [];
    const list = columns(data, state);
    const span = range([...shown, ...last]);
    const body = make("tbody", {}, ...shown.map((row) => line(row, list, span)));
    body.append(...last.map((row) => line(row, list, span, true)));
    const title = data.titles.find((one) => one.variant === state.case && one.feedback === state.regime);
    const words = `Leaderboard by ${(data.metrics[state.metric] ?? data.metrics[data.metric]).title}`;
    const caption = make("caption", { class: "unseen" }, title?.title ? `${words}, ${title.title}` : words);
    return { element: make("table", {}, caption, head(list, state), body), rows: some, of: all.length, shown };
  };

  // As files: the columns of `lersbench leaderboard --csv`, in fractions and counts.
  const record = (data, state, row) => {
    const fields = { variant: row.variant, policy: row.policy, name: row.name, family: row.family, feedback: row.feedback };
    const board = data.boards[state.metric] ?? data.boards[data.metric];
    for (const column of board.columns) {
      const cell = row[column.key];
      if (column.kind === "places") fields[column.parts[0]] = places(cell);
      else column.parts.forEach((part, i) => (fields[part] = (Array.isArray(cell) ? cell[i] : cell) ?? null));
    }
    return fields;
  };
  const csvCell = (value) => {
    if (value === null) return "";
    if (typeof value === "number") return `${value}`;
    const text = /^[=+\-@\t\r]./.test(value) && Number.isNaN(Number(value)) ? `'${value}` : value;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = (records) => {
    const names = Object.keys(records[0] ?? {});
    return `${[names, ...records.map((one) => names.map((name) => one[name]))]
      .map((cells) => cells.map(csvCell).join(","))
      .join("\n")}\n`;
  };
  return { make, number, label, rows, filtered, sorted, columns, table, record, csv };
})();
