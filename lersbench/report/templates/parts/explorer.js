// Leaderboard and chart of a run together: choices, their place in the address, files.
"use strict";
(() => {
  const { make, number } = Leaderboard;
  const BEST = 4; // lines of the chart at first, beside the baseline
  const narrow = matchMedia("(max-width: 44rem)");

  const start = (part) => {
    const data = JSON.parse(part.querySelector('script[type="application/json"]').textContent);
    const key = part.dataset.key;
    const find = (name) => part.querySelector(`[data-${name}]`);
    const field = (name) => part.querySelector(`[data-state="${name}"]`);
    let state = {};
    let chart = { destroy() {} };

    // What can be chosen
    const cases = [...new Map(data.titles.map((one) => [one.variant, one.case || "all"]))];
    const regimes = (variant) => data.titles.filter((one) => one.variant === variant).map((one) => one.feedback);
    const families = [...new Set(Object.values(data.contenders).map((one) => one.family))];
    const options = (name, pairs) =>
      field(name).replaceChildren(...pairs.map(([value, words]) => make("option", { value }, words)));
    options("metric", Object.values(data.metrics).map((one) => [one.name, one.unit ? `${one.title} (${one.unit})` : one.title]));
    options("case", cases);
    options("family", [["", "all"], ...families.map((one) => [one, one])]);
    find("of=case").hidden = cases.length < 2;

    const best = (of) => {
      const ranked = Leaderboard.rows(data, of);
      const first = ranked.filter((row) => !row.baseline).slice(0, BEST);
      const base = Chart.baseline(data, of);
      return [...first.map((row) => row.policy), ...(base ? [base] : [])];
    };
    const standard = (variant, regime) => {
      const known = cases.some(([name]) => name === variant) ? variant : data.case;
      const kinds = regimes(known);
      const state = { metric: data.metric, case: known, regime: kinds.includes(regime) ? regime : kinds[0] };
      return { ...state, family: "", name: "", sort: "", down: false, rows: false, columns: false, log: false, less: false, bands: true };
    };

    // The address
    const read = () => {
      const said = Address.of(key);
      const one = standard(said.get("case") ?? undefined, said.get("regime") ?? undefined);
      if (said.get("regime") === "all") one.regime = "";
      if (said.get("metric") in data.metrics) one.metric = said.get("metric");
      if (families.includes(said.get("family"))) one.family = said.get("family");
      one.name = said.get("name") ?? "";
      const sort = said.get("sort") ?? "";
      one.down = sort.startsWith("-");
      one.sort = sort.replace(/^-/, "");
      for (const name of ["rows", "columns", "log", "less"]) one[name] = said.has(name);
      one.bands = said.get("bands") !== "off";
      const known = said.getAll("line").filter((policy) => policy in data.contenders);
      one.lines = said.has("line") ? known : best(one);
      return one;
    };
    const write = () => {
      const first = standard();
      const pairs = [];
      for (const name of ["metric", "case", "family", "name"]) if (state[name] !== first[name]) pairs.push([name, state[name]]);
      if (state.regime !== standard(state.case).regime) pairs.push(["regime", state.regime || "all"]);
      if (state.sort) pairs.push(["sort", (state.down ? "-" : "") + state.sort]);
      for (const name of ["rows", "columns", "log", "less"]) if (state[name]) pairs.push([name, "on"]);
      if (!state.bands) pairs.push(["bands", "off"]);
      if (state.lines.join("\n") !== best(state).join("\n")) {
        pairs.push(...(state.lines.length ? state.lines : [""]).map((policy) => ["line", policy]));
      }
      Address.write(key, pairs);
    };

    // Drawing
    const digitsOf = () => {
      const board = data.boards[state.metric];
      const column = board?.columns.find((one) => one.key === "value");
      return column ? column.digits : data.metrics[state.metric].unit === "%" ? 2 : 4;
    };
    const caption = () => {
      const metric = data.metrics[state.metric];
      const unit = metric.unit === "%" ? (state.less ? " points" : " %") : metric.unit ? ` ${metric.unit}` : "";
      const ends = chart.drawn.map((one) => [Leaderboard.label(data, state, one.policy), one.mean.findLast((value) => value !== null)]);
      const sign = metric.better === "lower" ? 1 : -1;
      ends.sort((a, b) => sign * (a[1] - b[1]));
      const words = ends.length
        ? `${ends[0][0]} ends at ${number(ends[0][1], digitsOf(), state.less)}${unit}` +
          (ends.length > 1 ? `, ${ends.at(-1)[0]} at ${number(ends.at(-1)[1], digitsOf(), state.less)}${unit}` : "")
        : "nothing is drawn";
      const what = state.less ? `${metric.title} less the baseline's` : metric.title;
      return `${what} over rounds: ${words}.${metric.better === "neither" ? "" : ` ${metric.better[0].toUpperCase()}${metric.better.slice(1)} is better.`}`;
    };
    const chartNote = () => {
      const lines = [...data.notes];
      const few = chart.drawn.filter((one) => one.seeds.length);
      if (few.length) lines.push("Thin lines: single seeds, of contenders that have fewer than five.");
      if (state.bands && !state.less && chart.drawn.length > Chart.CROWD) lines.push(`Bands are drawn of up to ${Chart.CROWD} lines.`);
      if (chart.drawn.some((one) => one.half)) lines.push("Bands: 95 % interval of the mean over seeds, on this log.");
      if (state.less) lines.push("Differences of means; bars at the end: their interval in the leaderboard.");
      lines.push("Drag to zoom, double-click to undo; arrow keys read values.");
      return lines.join(" ");
    };
    const drawBoard = () => {
      const { element, rows, of, shown } = Leaderboard.table(data, state, narrow.matches ? 5 : 13);
      find("board").replaceChildren(element);
      const ranked = state.metric in data.boards;
      const words = [];
      if (!ranked) words.push(`${data.metrics[state.metric].title} has no better direction: ranked by ${data.metrics[data.metric].title}.`);
      if (!state.regime) words.push("Regimes are ranked apart: a policy that knows more is ahead for that reason alone.");
      if (rows.length < of) words.push(`${rows.length} of ${of} contenders fit.`);
      find("note").textContent = words.join(" ");
      const button = part.querySelector('[data-do="rows"]');
      button.hidden = rows.length === shown.length && !state.rows;
      button.textContent = state.rows ? "Show the first" : `Show all ${rows.length}`;
      part.querySelector('[data-do="columns"]').textContent = state.columns ? "Fewer columns" : "All columns";
      part.querySelector(".split").classList.toggle("full", state.columns);
    };
    const drawLegend = () => {
      const colour = Chart.colours(data);
      const held = data.curves[state.metric]?.[state.case]?.policies ?? {};
      const all = Leaderboard.rows(data, state).map((row) => row.policy);
      const base = Chart.baseline(data, state);
      const names = [...new Set([...all, ...(base ? [base] : []), ...state.lines])].filter((policy) => policy in held);
      find("legend").replaceChildren(
        ...names.map((policy) =>
          make("li", {}, make("button", { type: "button", "data-line": policy, "aria-pressed": `${state.lines.includes(policy)}` },
            Chart.swatch(data, policy, colour(policy)), Leaderboard.label(data, state, policy))),
        ),
      );
    };
    const drawChart = () => {
      chart.destroy();
      chart = Chart.draw(find("plot"), data, state, digitsOf(), (text) => (find("values").textContent = text));
      find("caption").textContent = caption();
      find("plot").setAttribute("aria-label", `Chart. ${caption()} Arrow keys read the values at a round.`);
      find("chartnote").textContent = chartNote();
      for (const button of part.querySelectorAll("[data-toggle]")) button.setAttribute("aria-pressed", `${state[button.dataset.toggle]}`);
      part.querySelector('[data-toggle="less"]').hidden = !Chart.baseline(data, state);
    };
    const fields = () => {
      const kinds = regimes(state.case);
      options("regime", [...kinds.map((kind) => [kind, kind]), ...(kinds.length > 1 ? [["", "all"]] : [])]);
      find("of=regime").hidden = kinds.length < 2;
      for (const name of ["metric", "case", "regime", "family", "name"]) {
        if (field(name).value !== state[name]) field(name).value = state[name];
      }
    };
    const draw = () => {
      fields();
      drawBoard();
      drawLegend();
      drawChart();
    };
    const change = (changes) => {
      const before = state;
      const wasBest = before.lines.join("\n") === best(before).join("\n");
      state = { ...state, ...changes };
      if (changes.case !== undefined && !regimes(state.case).includes(state.regime)) state.regime = regimes(state.case)[0];
      if (wasBest && !changes.lines) state.lines = best(state);
      write();
      draw();
    };

    // What a reader does
    for (const name of ["metric", "case", "regime", "family"]) {
      field(name).addEventListener("change", (event) => change({ [name]: event.target.value }));
    }
    field("name").addEventListener("input", (event) => change({ name: event.target.value }));
    const sort = (column) => {
      const better = data.metrics[column === "value" ? state.metric : column]?.better;
      const firstDown = better === "higher" || column === "lift" || column === "seeds";
      const again = state.sort === column;
      change(again && state.down !== firstDown ? { sort: "", down: false } : { sort: column, down: again ? !firstDown : firstDown });
      part.querySelector(`[data-sort="${CSS.escape(column)}"]`)?.focus();
    };
    const toggleLine = (policy) => {
      const on = state.lines.includes(policy);
      change({ lines: on ? state.lines.filter((one) => one !== policy) : [...state.lines, policy] });
      part.querySelector(`[data-line="${CSS.escape(policy)}"]`)?.focus();
    };
    const save = (content, kind, ending) => {
      const link = make("a", { download: `${data.name}-${state.metric}.${ending}`.replace(/[^\w.-]+/g, "-") });
      link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type: kind }));
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    };
    const records = () => {
      const { rows } = Leaderboard.table(data, state, Infinity);
      return rows.map((row) => Leaderboard.record(data, state, row));
    };
    const say = (text) => (find("said").textContent = text);
    const copy = async () => {
      try {
        await navigator.clipboard.writeText(location.href);
        say("Copied.");
      } catch {
        say("The address of this page is the link."); // the browser does not let a page copy
      }
    };
    const deeds = {
      rows: () => change({ rows: !state.rows }),
      columns: () => change({ columns: !state.columns }),
      csv: () => save(Leaderboard.csv(records()), "text/csv", "csv"),
      json: () => save(JSON.stringify({ scenario: data.name, run: data.run, metric: state.metric, baseline: data.baseline, rows: records() }, null, 1), "application/json", "json"),
      link: copy,
      best: () => change({ lines: best(state) }),
      all: () => change({ lines: Leaderboard.filtered(Leaderboard.rows(data, state), state).map((row) => row.policy) }),
      none: () => change({ lines: [] }),
      png: async () => chart.plot && save(await Chart.picture(chart, data, state, caption().split(":")[0]), "image/png", "png"),
    };
    part.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const { do: deed, toggle, sort: column, line } = button.dataset;
      if (deed) deeds[deed]();
      else if (toggle) change({ [toggle]: !state[toggle] });
      else if (column) sort(column);
      else if (line !== undefined) toggleLine(line);
    });
    document.addEventListener("theme", draw);
    narrow.addEventListener("change", draw);
    addEventListener("hashchange", () => {
      state = read();
      draw();
    });

    part.querySelector(".live").hidden = false;
    part.querySelector(".tools").open = !narrow.matches;
    state = read();
    draw();
  };
  for (const part of document.querySelectorAll('[data-part="explorer"]')) start(part);
})();
