// Curves over rounds in one chart, by uPlot: means, bands, single seeds; values at the cursor.
"use strict";
const Chart = (() => {
  const { make, number } = Leaderboard;
  const EARLY = 0.05; // share of the rounds in which running means still jump; it does not set the limits
  const CROWD = 8; // more lines than that are drawn without bands and seeds
  const NONE = 65535;

  const unpack = ([least, step, text]) => {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Array.from({ length: bytes.length / 2 }, (_, i) => {
      const value = view.getUint16(2 * i, true);
      return value === NONE ? null : least + step * value;
    });
  };
  const minus = (some, others) =>
    some.map((value, i) => (value === null || (others[i] ?? null) === null ? null : value - others[i]));

  // Colours that can be seen on the ground of the page: moved towards its text until they differ enough.
  const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const seen = (hex, ground, text) => {
    let colour = channels(hex);
    for (let i = 0; i < 20 && contrast(colour, channels(ground)) < 3.5; i += 1) {
      colour = colour.map((x, k) => x + 0.1 * (channels(text)[k] - x));
    }
    return `rgb(${colour.map(Math.round).join(" ")})`;
  };
  const faint = (rgb, alpha) => rgb.replace(")", ` / ${alpha})`);
  const named = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const palette = () => {
    const wide = (hex) => (hex.length === 4 ? `#${[...hex.slice(1)].map((c) => c + c).join("")}` : hex);
    const [ground, text, line, quiet] = ["--card", "--text", "--line", "--quiet"].map((name) => wide(named(name)));
    return { ground, text, line, quiet };
  };
  const colours = (data) => {
    const { ground, text } = palette();
    return (policy) => seen(data.looks[policy].colour, ground, text);
  };
  const swatch = (data, policy, colour) => {
    const dash = data.looks[policy].dash.join(" ");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    for (const [name, value] of Object.entries({ width: 22, height: 8, "aria-hidden": "true" })) svg.setAttribute(name, value);
    for (const [name, value] of Object.entries({ x1: 0, x2: 22, y1: 4, y2: 4, stroke: colour, "stroke-width": 2.5 })) {
      line.setAttribute(name, value);
    }
    if (dash) line.setAttribute("stroke-dasharray", dash);
    svg.append(line);
    return svg;
  };

  // What is drawn in a state: a series a contender, on common rounds.
  const lines = (data, state) => {
    const held = data.curves[state.metric]?.[state.case];
    if (!held?.policies) return [];
    const base = state.less ? baseline(data, state) : null;
    const at = (policy) => held.policies[policy].rounds ?? held.rounds;
    const times = data.metrics[state.metric].times;
    const shown = (values) => values.map((value) => (value === null ? null : value * times));
    const lower = base && held.policies[base] ? unpack(held.policies[base].mean) : null;
    if (state.less && !lower) return [];
    const chosen = state.lines.filter((policy) => held.policies[policy] && policy !== base);
    const spread = state.bands && chosen.length <= CROWD;
    return chosen.map((policy) => {
        const curve = held.policies[policy];
        const mean = unpack(curve.mean);
        const rounds = at(policy);
        if (lower) {
          const common = new Map(at(base).map((round, i) => [round, lower[i]]));
          return { policy, rounds, mean: shown(minus(mean, rounds.map((round) => common.get(round) ?? null))), seeds: [] };
        }
        const seeds = spread ? Object.values(curve.seeds ?? {}).map((one) => shown(unpack(one))) : [];
        const half = spread && !seeds.length && curve.half ? shown(unpack(curve.half)) : null;
        return { policy, rounds, mean: shown(mean), half, seeds };
    });
  };
  const baseline = (data, state) =>
    data.titles.find((one) => one.variant === state.case && (!state.regime || one.feedback === state.regime))?.baseline;

  // Limits of y: every line after the early rounds; bands stretch them by half at most.
  const limits = (drawn, metric, state) => {
    const end = Math.max(...drawn.flatMap((one) => one.rounds.slice(-1)));
    const late = (one, values, from) => values.filter((value, i) => value !== null && one.rounds[i] >= from * end);
    let values = drawn.flatMap((one) => late(one, one.mean, EARLY));
    if (!values.length) values = drawn.flatMap((one) => one.mean.filter((value) => value !== null));
    if (!values.length) return [0, 1];
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const edges = drawn.flatMap((one) => [
      ...(one.half ? late(one, one.mean.map((mean, i) => mean - one.half[i]), 0.25) : []),
      ...(one.half ? late(one, one.mean.map((mean, i) => mean + one.half[i]), 0.25) : []),
      ...one.seeds.flatMap((seed) => late(one, seed, 0.25)),
    ]);
    const reach = 0.5 * (high - low) || Infinity;
    if (edges.length) {
      [low, high] = [Math.max(low - reach, Math.min(low, ...edges)), Math.min(high + reach, Math.max(high, ...edges))];
    }
    const margin = 0.05 * (high - low) || 0.05 * Math.abs(high) || 1;
    const [least, most] = state.less ? [null, null] : metric.limits.map((x) => (x === null ? null : x * metric.times));
    return [
      least !== null && low - margin < least ? least : low - margin,
      most !== null && high + margin > most ? most + 0.2 * margin : high + margin,
    ];
  };

  // Tables for uPlot: rounds, then for each contender its mean, the ends of its band, its seeds.
  const series = (drawn, colour, data, metric) => {
    const tables = [];
    const looks = [{}];
    const bands = [];
    const clip = (value) => Math.min(Math.max(value, scaled(metric.limits[0], -Infinity)), scaled(metric.limits[1], Infinity));
    const scaled = (x, otherwise) => (x === null ? otherwise : x * metric.times);
    drawn.forEach((one) => {
      const ink = colour(one.policy);
      const columns = [one.mean];
      looks.push({ label: one.policy, stroke: ink, width: 2, dash: data.looks[one.policy].dash, points: { show: false }, spanGaps: true });
      if (one.half) {
        const edge = (sign) => one.mean.map((mean, i) => (mean === null || one.half[i] === null ? null : clip(mean + sign * one.half[i])));
        columns.push(edge(1), edge(-1));
        const first = looks.length;
        looks.push(...[0, 0].map(() => ({ stroke: "transparent", width: 0, points: { show: false }, spanGaps: true, band: true })));
        bands.push({ series: [first, first + 1], fill: faint(ink, 0.14) });
      }
      one.seeds.forEach((seed) => {
        columns.push(seed);
        looks.push({ stroke: faint(ink, 0.5), width: 1, points: { show: false }, spanGaps: true, seed: true });
      });
      tables.push([one.rounds, ...columns]);
    });
    return { table: tables.length ? uPlot.join(tables) : [[]], looks, bands };
  };

  const tip = (host, plot, drawn, data, digits, colour, state) => {
    const box = make("div", { class: "tip", hidden: true });
    plot.over.append(box);
    const at = (index) => {
      const round = plot.data[0][index];
      return drawn
        .map((one) => {
          const i = one.rounds.indexOf(round);
          return { ...one, value: i < 0 ? null : one.mean[i], wide: one.half ? one.half[i] : null };
        })
        .filter((one) => one.value !== null)
        .sort((a, b) => (data.metrics[state.metric].better === "lower" ? a.value - b.value : b.value - a.value));
    };
    const words = (one) => number(one.value, digits, state.less) + (one.wide ? ` \u00b1 ${number(one.wide, digits)}` : "");
    const show = (index) => {
      const values = index === null || index === undefined ? [] : at(index);
      box.hidden = !values.length;
      if (!values.length) return "";
      const round = plot.data[0][index];
      const rows = values.slice(0, 14).map((one) =>
        make("tr", {}, make("td", {}, swatch(data, one.policy, colour(one.policy))), make("th", { scope: "row" }, Leaderboard.label(data, state, one.policy)), make("td", {}, words(one))),
      );
      const more = values.length > 14 ? [make("div", {}, `and ${values.length - 14} more`)] : [];
      box.replaceChildren(make("div", {}, `Round ${number(round, 0)}`), make("table", {}, ...rows), ...more);
      const left = plot.valToPos(round, "x");
      const room = plot.over.clientWidth;
      box.style.left = left < room / 2 ? `${left + 12}px` : "auto";
      box.style.right = left < room / 2 ? "auto" : `${room - left + 12}px`;
      box.style.top = "4px";
      return `Round ${number(round, 0)}: ${values.map((one) => `${Leaderboard.label(data, state, one.policy)} ${words(one)}`).join("; ")}`;
    };
    return show;
  };

  // At the end of differences: the interval of the leaderboard.
  const whiskers = (drawn, data, state, colour) => (plot) => {
    const rows = new Map(Leaderboard.rows(data, state).map((row) => [row.policy, row.difference]));
    const times = data.metrics[state.metric].times;
    drawn.forEach((one, i) => {
      const span = rows.get(one.policy);
      if (!span || span[1] === null) return;
      const x = plot.valToPos(one.rounds.at(-1), "x", true) - 3 * devicePixelRatio * (1 + (i % 3));
      const [low, high] = [span[1], span[2]].map((end) => plot.valToPos(end * times, "y", true));
      plot.ctx.save();
      plot.ctx.strokeStyle = colour(one.policy);
      plot.ctx.lineWidth = 2 * devicePixelRatio;
      plot.ctx.beginPath();
      plot.ctx.moveTo(x, low);
      plot.ctx.lineTo(x, high);
      plot.ctx.stroke();
      plot.ctx.restore();
    });
  };

  // Draw a state into `host`; what comes back can be sized, moved through by keys, saved and destroyed.
  const draw = (host, data, state, digits, say) => {
    host.replaceChildren();
    const drawn = lines(data, state);
    if (!drawn.length) {
      const why = data.curves[state.metric]?.[state.case] ? "No contender is chosen." : "There are no curves of this metric.";
      host.append(make("p", { class: "note" }, why));
      return { drawn, destroy() {} };
    }
    const metric = data.metrics[state.metric];
    const colour = colours(data);
    const { table, looks, bands } = series(drawn, colour, data, metric);
    const { line, quiet } = palette();
    const font = "12px system-ui, sans-serif";
    const axis = { stroke: quiet, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const brief = (value) => (value === null ? "" : number(value, Math.max(0, Math.min(4, -Math.floor(Math.log10(span / 5))))));
    const [low, high] = limits(drawn, metric, state);
    const span = high - low;
    const title = state.less ? `${metric.title} less ${Leaderboard.label(data, state, baseline(data, state))}` : metric.title;
    let show = () => "";
    const plot = new uPlot(
      {
        width: host.clientWidth,
        height: host.clientHeight,
        legend: { show: false },
        scales: { x: { time: false, distr: state.log ? 3 : 1 }, y: { range: () => [low, high] } },
        axes: [
          { ...axis, size: 44, label: "Round", labelSize: 18, labelFont: font, gap: 3, space: 60,
            values: (_, at) => at.map((value) => (value === null ? "" : number(value, 0))) },
          { ...axis, size: (u, at) => 16 + 7 * Math.max(2, ...(at ?? []).map((text) => text.length)), label: metric.unit ? `${title} (${metric.unit})` : title,
            labelSize: 18, labelFont: font, gap: 3, values: (_, at) => at.map(brief) },
        ],
        series: looks,
        bands,
        cursor: { y: false, drag: { x: true, y: false }, points: { show: (u, i) => looks[i].seed || looks[i].band ? false : undefined } },
        hooks: { setCursor: [(u) => show(u.cursor.idx)], draw: state.less ? [whiskers(drawn, data, state, colour)] : [] },
      },
      table,
      host,
    );
    show = tip(host, plot, drawn, data, digits, colour, state);
    let index = null;
    const keys = (event) => {
      const last = table[0].length - 1;
      const steps = { ArrowRight: 1, ArrowLeft: -1, PageUp: 10, PageDown: -10 };
      if (event.key === "Home") index = 0;
      else if (event.key === "End") index = last;
      else if (event.key === "Escape") index = null;
      else if (event.key in steps) index = Math.max(0, Math.min(last, (index ?? (steps[event.key] > 0 ? -1 : last + 1)) + steps[event.key]));
      else return;
      event.preventDefault();
      if (index === null) plot.setCursor({ left: -10, top: -10 });
      else plot.setCursor({ left: plot.valToPos(table[0][index], "x"), top: 10 });
      say(show(index));
    };
    host.addEventListener("keydown", keys);
    const watch = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: host.clientHeight }));
    watch.observe(host);
    return {
      drawn,
      plot,
      destroy() {
        watch.disconnect();
        host.removeEventListener("keydown", keys);
        plot.destroy();
      },
    };
  };

  // The chart as a picture: title, canvas, legend.
  const picture = (chart, data, state, title) => {
    const { ground, text } = palette();
    const canvas = chart.plot.ctx.canvas;
    const k = canvas.width / chart.plot.width;
    const colour = colours(data);
    const [row, column] = [18 * k, 230 * k];
    const perRow = Math.max(1, Math.floor(canvas.width / column));
    const below = row * Math.ceil(chart.drawn.length / perRow) + 8 * k;
    const out = make("canvas", { width: canvas.width, height: canvas.height + 30 * k + below });
    const pen = out.getContext("2d");
    pen.fillStyle = ground;
    pen.fillRect(0, 0, out.width, out.height);
    pen.drawImage(canvas, 0, 30 * k);
    pen.fillStyle = text;
    pen.font = `600 ${14 * k}px system-ui, sans-serif`;
    pen.fillText(title, 8 * k, 20 * k);
    pen.font = `${12 * k}px system-ui, sans-serif`;
    chart.drawn.forEach((one, i) => {
      const [x, y] = [8 * k + column * (i % perRow), canvas.height + 30 * k + row * (Math.floor(i / perRow) + 0.5)];
      pen.strokeStyle = colour(one.policy);
      pen.lineWidth = 2.5 * k;
      pen.setLineDash(data.looks[one.policy].dash.map((x) => x * k));
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(x + 24 * k, y);
      pen.stroke();
      pen.fillText(Leaderboard.label(data, state, one.policy), x + 30 * k, y + 4 * k);
    });
    return new Promise((done) => out.toBlob(done, "image/png"));
  };
  return { draw, picture, swatch, colours, baseline, CROWD };
})();
