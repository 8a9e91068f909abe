// Histograms with an operating point, and what follows from it: rates, ROC, risk and coverage.

const BINS = 60;
const rowHeight = (sets) => (sets.length < 5 ? 84 : 54); // pixels of a set's histogram

// The range that the histograms show: all scores but the farthest thousandth of either end.
function rangeOf(detector) {
  let [low, high] = [Infinity, -Infinity];
  for (const scores of Object.values(detector.sorted)) {
    low = Math.min(low, scores[Math.floor(0.001 * (scores.length - 1))]);
    high = Math.max(high, scores[Math.ceil(0.999 * (scores.length - 1))]);
  }
  const margin = 0.02 * (high - low) || 0.5;
  return [low - margin, high + margin];
}

function binned(scores, [low, high]) {
  const counts = new Array(BINS).fill(0);
  for (const score of scores) {
    const bin = Math.floor((BINS * (score - low)) / (high - low));
    counts[Math.min(BINS - 1, Math.max(0, bin))] += 1; // those outside stand in the last bins
  }
  return counts.map((count) => count / scores.length);
}

// Points (false-accept rate, true-accept rate) from the strictest threshold on, with the thresholds.
function rocOf(ids, oods) {
  const thresholds = [...new Set([...ids, ...oods])].sort((a, b) => b - a);
  const every = Math.max(1, Math.ceil(thresholds.length / 1500));
  const kept = thresholds.filter((_, i) => i % every === 0 || i === thresholds.length - 1);
  const points = kept.map((threshold) => [acceptedShare(oods, threshold), acceptedShare(ids, threshold)]);
  return [[0, 0], ...points];
}

// Mann and Whitney: the chance that an ID image outscores an OOD image; a tie counts half.
function aurocOf(ids, oods) {
  let [sum, below, upTo] = [0, 0, 0];
  for (const score of ids) {
    while (below < oods.length && oods[below] < score) below += 1;
    upTo = Math.max(upTo, below);
    while (upTo < oods.length && oods[upTo] <= score) upTo += 1;
    sum += below + upTo;
  }
  return sum / (2 * ids.length * oods.length);
}

sections.push((data) => {
  if (!$("scores")) return;
  const [runSelect, detectorSelect, idSelect, oodSelect] = ["run", "detector", "id", "ood"].map((part) => $(`scores-${part}`));
  const slider = $("operating-point");
  const runs = data.runs.map((run, i) => [i, run]).filter(([, run]) => run.scores.detectors.length);
  choices(runSelect, runs.map(([i, run]) => [String(i), run.name]));

  let state;
  const threshold = () => thresholdOf(state.run, state.detector.name);
  const accepted = (name) => acceptedShare(state.detector.sorted[name], threshold());
  const oods = () => (oodSelect.value ? [oodSelect.value] : state.sets.filter((set) => !set.id).map((set) => set.name));

  function chooseRun() {
    const { scores } = data.runs[Number(runSelect.value)];
    choices(detectorSelect, scores.detectors.map((one, i) => [String(i), one.name]), String(Math.max(0, scores.detectors.findIndex((one) => one.name === scores.explained))));
    const names = (isId) => scores.sets.filter((set) => set.id === isId).map((set) => [set.name, set.name]);
    choices(idSelect, names(true));
    choices(oodSelect, names(false).length > 1 ? [["", "all together"], ...names(false)] : names(false));
    choose();
  }

  function choose() {
    const run = Number(runSelect.value);
    const detector = data.runs[run].scores.detectors[Number(detectorSelect.value)];
    const sets = data.runs[run].scores.sets.filter((set) => detector.sorted[set.name]);
    state = { run, detector, sets, range: rangeOf(detector) };
    state.bins = Object.fromEntries(sets.map((set) => [set.name, binned(detector.sorted[set.name], state.range)]));
    drawHistogram();
    follow();
  }

  const colourOf = (set) => (!set.id ? "ood" : set.name === idSelect.value ? "id" : "shift");
  function drawHistogram() {
    const [low, high] = state.range;
    const width = (high - low) / BINS;
    const centres = Array.from({ length: BINS }, (_, i) => low + (i + 0.5) * width);
    const { sets } = state;
    const height = sets.length * rowHeight(sets) + 70;
    $("histogram").style.height = `${height}px`;
    plot("histogram", () => {
      const layout = {
        height, margin: { l: 8, r: 8, t: 8, b: 46 }, bargap: 0, xaxis: { title: "score; higher is more in-distribution", range: [low, high], anchor: `y${sets.length > 1 ? sets.length : ""}` },
        annotations: sets.map((set, i) => ({
          x: 0, y: 1 - i / sets.length, xref: "paper", yref: "paper", xanchor: "left", yanchor: "top", showarrow: false, text: `${plain(set.name)}`, font: { size: 12, color: colour("ink") }, bgcolor: colour("panel"), borderpad: 1,
        })),
        shapes: [lineShape()],
      };
      sets.forEach((_, i) => {
        const top = 1 - i / sets.length;
        layout[`yaxis${i ? i + 1 : ""}`] = { domain: [top - 0.86 / sets.length, top - 0.06 / sets.length], visible: false, fixedrange: true, anchor: "x" };
      });
      const traces = sets.map((set, i) => ({
        type: "bar", x: centres, y: state.bins[set.name], width, yaxis: `y${i ? i + 1 : ""}`, marker: { color: barColours(set, centres) }, hovertemplate: "%{x:.3g}: %{y:.1%}<extra></extra>",
      }));
      return { traces, layout };
    });
    state.centres = centres;
  }
  const barColours = (set, centres) => centres.map((x) => colour(colourOf(set) + (x >= threshold() ? "" : "-pale")));
  const lineShape = () => ({ type: "line", x0: threshold(), x1: threshold(), y0: 0, y1: 1, yref: "paper", line: { color: colour("ink"), width: 2.5 } });

  function follow() {
    const [low, high] = state.range;
    const value = threshold();
    slider.value = String(Math.round((1000 * (value - low)) / (high - low)));
    $("operating-value").textContent = value.toPrecision(4);
    slider.setAttribute("aria-valuetext", `score ${value.toPrecision(4)}, ${percent(accepted(idSelect.value))} % of ${idSelect.value} accepted`);

    const [idSet, chosen] = [idSelect.value, oods()];
    const wrong = chosen.length ? chosen.reduce((sum, name) => sum + accepted(name), 0) / chosen.length : null;
    $("operating-text").textContent = `At ${value.toPrecision(4)}, ${percent(accepted(idSet))} % of ${idSet} are accepted and ${percent(1 - accepted(idSet))} % rejected`
      + (wrong === null ? "." : `; of ${oodSelect.value || "the OOD sets, each counted alike,"} ${percent(wrong)} % are accepted and ${percent(1 - wrong)} % rejected.`);

    $("rates").tBodies[0].replaceChildren(...state.sets.map((set) => {
      const share = accepted(set.name);
      const fill = element("i");
      fill.style.width = `${100 * share}%`;
      return element("tr", {}, element("th", { scope: "row", class: "text" }, named(set.name)), element("td", { textContent: number(set.n) }),
        element("td", {}, `${percent(share)} %`, element("span", { class: `bar ${colourOf(set)}` }, fill)));
    }));
    Plotly.restyle($("histogram"), { "marker.color": state.sets.map((set) => barColours(set, state.centres)) });
    Plotly.relayout($("histogram"), { shapes: [lineShape()] });
    drawCurves();
  }

  // They depend on the sets alone, not on the operating point.
  function curves(ids) {
    const key = JSON.stringify([idSelect.value, oodSelect.value]);
    if (state.curves?.key !== key) {
      const pooled = Float32Array.from(oods().flatMap((name) => [...state.detector.sorted[name]])).sort();
      state.curves = { key, pooled, roc: rocOf(ids, pooled), auroc: aurocOf(ids, pooled) };
    }
    return state.curves;
  }

  function drawCurves() {
    const id = state.sets.find((set) => set.name === idSelect.value);
    const ids = state.detector.sorted[idSelect.value];
    const others = state.sets.filter((set) => !set.id);
    if (!others.length) {
      for (const part of ["roc", "risk"]) $(part).closest(".panel").hidden = true;
      return;
    }
    const { pooled, roc, auroc } = curves(ids);
    const n = oods().reduce((sum, name) => sum + state.sets.find((set) => set.name === name).n, 0);
    const idShare = accepted(idSelect.value);
    const oodShare = acceptedShare(pooled, threshold());
    const [right, up] = [oodSelect.value ? state.sets.find((set) => set.name === oodSelect.value).band : Math.sqrt(Math.log(80) / (2 * n)), id.band];

    plot("roc", () => {
      const upper = roc.map(([x, y]) => [Math.max(0, x - right), Math.min(1, y + up)]);
      const lower = roc.map(([x, y]) => [Math.min(1, x + right), Math.max(0, y - up)]);
      const outline = [[0, upper[0][1]], ...upper, [1, 1], ...[...lower, [1, Math.max(0, 1 - up)]].reverse(), [0, 0]];
      const traces = [
        { x: outline.map(([x]) => x), y: outline.map(([, y]) => y), fill: "toself", mode: "none", fillcolor: `${colour("id")}26`, hoverinfo: "skip" },
        { x: [0, 1], y: [0, 1], mode: "lines", line: { color: colour("line-strong"), dash: "dot", width: 1 }, hoverinfo: "skip" },
        { x: roc.map(([x]) => x), y: roc.map(([, y]) => y), mode: "lines", line: { color: colour("id"), width: 2.5 }, hovertemplate: "OOD accepted %{x:.1%}<br>ID accepted %{y:.1%}<extra></extra>" },
        { x: [oodShare], y: [idShare], mode: "markers", marker: { color: colour("ink"), size: 11, line: { color: colour("panel"), width: 2 } }, hoverinfo: "skip" },
      ];
      return { traces, layout: { height: 330, xaxis: { title: "OOD pictures accepted", range: [-0.01, 1.01], tickformat: ".0%" }, yaxis: { title: "ID pictures accepted", range: [-0.01, 1.01], tickformat: ".0%" } } };
    });
    $("roc-text").textContent = `${idSelect.value} against ${oodSelect.value || `${others.length} OOD sets together`}: AUROC ${percent(auroc, 2)} %. `
      + "The band holds the whole true curve with at least 95 % chance (Dvoretzky, Kiefer and Wolfowitz, along both axes); it is wider than intervals of single points.";

    // Coverage: accepted pictures of all; risk: OOD pictures among the accepted, at the sets' own sizes.
    const risks = roc.slice(1).map(([x, y]) => [(n * x + id.n * y) / (n + id.n), (n * x) / Math.max(n * x + id.n * y, 1e-9)]);
    const here = [(n * oodShare + id.n * idShare) / (n + id.n), (n * oodShare) / Math.max(n * oodShare + id.n * idShare, 1e-9)];
    plot("risk", () => ({
      traces: [
        { x: risks.map(([x]) => x), y: risks.map(([, y]) => y), mode: "lines", line: { color: colour("ood"), width: 2.5 }, hovertemplate: "%{x:.1%} accepted<br>%{y:.1%} of them OOD<extra></extra>" },
        { x: [here[0]], y: [here[1]], mode: "markers", marker: { color: colour("ink"), size: 11, line: { color: colour("panel"), width: 2 } }, hoverinfo: "skip" },
      ],
      layout: { height: 330, xaxis: { title: "coverage: pictures accepted", range: [-0.01, 1.01], tickformat: ".0%" }, yaxis: { title: "risk: OOD among the accepted", rangemode: "tozero", tickformat: ".0%" } },
    }));
    $("risk-text").textContent = `${percent(here[0])} % of the pictures are accepted, ${percent(here[1])} % of these are OOD: at the sets' own sizes, ${number(id.n)} ID and ${number(n)} OOD pictures.`;
  }

  const move = (value) => setThreshold(state.run, state.detector.name, Math.min(state.range[1], Math.max(state.range[0], value)));
  let waiting = false;
  operating.listeners.push((run, detector) => {
    if (waiting || run !== state.run || detector !== state.detector.name) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; follow(); });
  });
  slider.addEventListener("input", () => move(state.range[0] + (Number(slider.value) / 1000) * (state.range[1] - state.range[0])));
  $("operating-reset").addEventListener("click", () => setThreshold(state.run, state.detector.name, state.detector.threshold));

  // The operating point is wherever the pointer is pressed, and goes with it.
  const surface = $("histogram");
  const moveTo = (event) => {
    const axis = surface._fullLayout.xaxis;
    move(axis.p2c(event.clientX - surface.getBoundingClientRect().left - axis._offset));
  };
  surface.addEventListener("pointerdown", (event) => {
    surface.setPointerCapture(event.pointerId);
    moveTo(event);
  });
  surface.addEventListener("pointermove", (event) => {
    if (surface.hasPointerCapture(event.pointerId)) moveTo(event);
  });

  runSelect.addEventListener("change", chooseRun);
  detectorSelect.addEventListener("change", choose);
  idSelect.addEventListener("change", () => { drawHistogram(); follow(); });
  oodSelect.addEventListener("change", follow);
  chooseRun();
});
