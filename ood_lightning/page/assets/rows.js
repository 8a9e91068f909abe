// Every picture that has no place among the small ones, as a row of text.

const PAGE_ROWS = 50;

sections.push((data) => {
  if (!$("rows")) return;
  const [runSelect, find, set, decision, order] = ["run", "find", "set", "decision", "order"].map((part) => $(`rows-${part}`));
  const runs = data.runs.map((run, i) => [i, run]).filter(([, run]) => run.scores.rows);
  choices(runSelect, runs.map(([i, run]) => [String(i), run.name]));
  let rows;
  let isId;
  let matches = [];
  let start = 0;
  const run = () => Number(runSelect.value);
  const threshold = () => Math.fround(thresholdOf(run(), data.runs[run()].scores.explained));

  function select() {
    const text = find.value.toLowerCase();
    const inWords = rows.words.map((word) => text !== "" && word.toLowerCase().includes(text));
    const limit = threshold();
    matches = [];
    for (let i = 0; i < rows.key.length; i += 1) {
      if (set.value && rows.sets[rows.set[i]] !== set.value) continue;
      const accepted = rows.scores[i] >= limit;
      if (decision.value === "wrong" ? accepted === isId[rows.set[i]] : decision.value && (decision.value === "accepted") !== accepted) continue;
      if (text && !rows.key[i].toLowerCase().includes(text) && !inWords[rows.positive[i]] && !inWords[rows.negative[i]]) continue;
      matches.push(i);
    }
    if (order.value !== "file") {
      const sign = order.value === "up" ? 1 : -1;
      matches.sort((a, b) => sign * (rows.scores[a] - rows.scores[b]));
    }
    start = 0;
    draw();
  }

  function draw() {
    const limit = threshold();
    const part = matches.slice(start, start + PAGE_ROWS);
    $("rows").tBodies[0].replaceChildren(...part.map((i) => {
      const accepted = rows.scores[i] >= limit;
      const wrong = accepted !== isId[rows.set[i]];
      return element("tr", {}, element("th", { scope: "row", class: "text" }, named(rows.key[i])), element("td", {}, named(rows.sets[rows.set[i]])), element("td", { textContent: rows.scores[i].toFixed(3) }),
        element("td", { textContent: (accepted ? "accepted" : "rejected") + (wrong ? ", wrong" : "") }), element("td", {}, named(rows.words[rows.positive[i]])), element("td", {}, named(rows.words[rows.negative[i]])));
    }));
    const listed = rows.key.length < rows.of ? ` This page lists ${number(rows.key.length)} of ${number(rows.of)}: those on the wrong side of its first operating point, and others evenly spaced. All are in the run's files.` : "";
    $("rows-text").textContent = `${matches.length ? `${number(start + 1)} to ${number(start + part.length)}` : "None"} of ${number(matches.length)} that fit, scored by ${data.runs[run()].scores.explained}.${listed}`;
    $("rows-back").disabled = start === 0;
    $("rows-on").disabled = start + PAGE_ROWS >= matches.length;
  }

  function choose() {
    const { scores } = data.runs[run()];
    rows = scores.rows;
    rows.scores ??= floats(rows.score);
    const roles = new Map(scores.sets.map((one) => [one.name, one.id]));
    isId = rows.sets.map((name) => roles.get(name) ?? false);
    choices(set, [["", "all"], ...rows.sets.map((name) => [name, name])], "");
    select();
  }

  if (!runs.length) {
    $("rows").closest(".panel").hidden = true;
    return;
  }
  operating.listeners.push((changed, detector) => {
    if (changed === run() && detector === data.runs[changed].scores.explained) (decision.value ? select : draw)();
  });
  runSelect.addEventListener("change", choose);
  for (const control of [find, set, decision, order]) control.addEventListener("input", select);
  $("rows-back").addEventListener("click", () => { start = Math.max(0, start - PAGE_ROWS); draw(); });
  $("rows-on").addEventListener("click", () => { start += PAGE_ROWS; draw(); });
  choose();
});
