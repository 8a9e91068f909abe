// The pictures that a person should look at, and why they have their scores.

const KINDS = { miss: "miss", "false alarm": "false alarm", uncertain: "uncertain" };

function sideTable(reasons, picture, side, threshold) {
  const isId = side === "positives";
  const pulls = picture[side];
  const [kind, others] = isId ? ["positives", reasons.words.length] : ["negatives", reasons.n_negatives];
  const total = picture.log_odds === null ? 1 : 1 / (1 + Math.exp(isId ? -picture.log_odds : picture.log_odds));
  const rest = Math.max(0, total - pulls.reduce((sum, one) => sum + one.share, 0));
  // Scores without a word are equation 1's: against another detector's operating point they say nothing.
  const decided = reasons.is_equation;
  const then = (score) => (score === null ? "–" : score >= threshold ? "accepted" : "rejected");

  const rows = pulls.map((one) => element("tr", {},
    element("th", { scope: "row", class: "text" }, named(one.word)),
    element("td", { textContent: shareText(one.share) }),
    element("td", { textContent: one.without === null ? "–" : one.without.toFixed(3) }),
    decided ? element("td", { textContent: then(one.without) }) : null));
  const sum = [["the others", rest, others - pulls.length], ["together", total, others]].map(([text, share, n]) => element("tr", {},
    element("th", { scope: "row", class: "text", textContent: `${text} (${number(n)})` }), element("td", { textContent: shareText(share) }), element("td"), decided ? element("td") : null));
  const caption = isId ? "Pull towards in-distribution: positives" : "Pull towards out-of-distribution: negatives";
  return element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, element("table", {},
    element("caption", { class: "unseen", textContent: caption }),
    element("thead", {}, element("tr", {}, ...[[kind, isId ? "id" : "ood"], ["share"], ["score without"], ...(decided ? [["then"]] : [])].map(([text, hue]) => element("th", { scope: "col", class: hue ?? "", textContent: text })))),
    element("tbody", {}, ...rows), element("tfoot", {}, ...sum)));
}

const shareText = (share) => (share >= 0.0005 || share === 0 ? `${percent(share, 2)} %` : `${(100 * share).toPrecision(2)} %`);

// The words without any one of which the decision would be the other one: their scores are exact.
function turningWords(picture, threshold) {
  const accepted = picture.score >= threshold;
  const side = accepted ? picture.positives : picture.negatives;
  return { accepted, side, turning: side.filter((one) => one.without !== null && (one.without >= threshold) !== accepted) };
}

function withoutText(picture, threshold) {
  const { accepted, side, turning } = turningWords(picture, threshold);
  const then = accepted ? "rejected" : "accepted";
  const box = element("p", { class: "without" });
  if (turning.length) {
    box.append(`Would be ${then} without the word `);
    turning.forEach((one, i) => box.append(i ? ", or without " : "", element("b", {}, named(one.word))));
    box.append(".");
  } else if (side.length) {
    const [first] = side;
    box.append(`No single word decides: without `, element("b", {}, named(first.word)), ` it would still be ${accepted ? "accepted" : "rejected"}, at ${first.without === null ? "–" : first.without.toFixed(3)}.`);
  }
  return box;
}

function whyOf(reasons, picture, threshold) {
  const accepted = picture.score >= threshold;
  const truth = picture.is_id ? "in-distribution" : "out-of-distribution";
  const head = element("div", { class: "head" }, smallPicture(reasons, picture.thumbnail, ""),
    element("div", {}, element("h3", {}, named(picture.key)),
      element("p", { class: "support" }, "set ", named(picture.set), `, ${truth}`),
      element("p", { class: "support" }, element("b", { textContent: accepted ? "accepted" : "rejected" }), `: score ${picture.score.toFixed(3)}, operating point ${threshold.toFixed(3)}`)));
  if (picture.log_odds === null) return [head, element("p", { class: "note", textContent: "The label set has no negatives, so there are no two masses to compare." }), sideTable(reasons, picture, "positives", threshold)];

  const share = 1 / (1 + Math.exp(-picture.log_odds));
  const segments = (side, hue) => side.map((one, i) => {
    const part = element("i", { class: hue, title: `${one.word}: ${shareText(one.share)}` });
    part.style.width = `${100 * one.share}%`;
    part.style.opacity = String(1 - 0.08 * i);
    return part;
  });
  const rest = (side, whole, hue) => {
    const part = element("i", { class: hue });
    part.style.width = `${100 * Math.max(0, whole - side.reduce((sum, one) => sum + one.share, 0))}%`;
    part.style.opacity = "0.45";
    return part;
  };
  const bar = element("div", { class: "masses", role: "img", "aria-label": `Positives have ${shareText(share)} of the mass, negatives ${shareText(1 - share)}` },
    ...segments(picture.positives, "id"), rest(picture.positives, share, "id"), rest(picture.negatives, 1 - share, "ood"), ...segments(picture.negatives, "ood").reverse());
  const legend = element("p", { class: "legend" },
    element("span", {}, element("b", { class: "id", textContent: `positives ${shareText(share)}` }), ` log-mass ${picture.id_mass.toFixed(3)}`),
    element("span", {}, element("b", { class: "ood", textContent: `negatives ${shareText(1 - share)}` }), ` log-mass ${picture.ood_mass.toFixed(3)}`));
  const note = reasons.is_equation
    ? `Score = ${picture.id_mass.toFixed(4)} − ${picture.ood_mass.toFixed(4)} = ${picture.log_odds.toFixed(4)} (equation 1, computed in float64). Shares are exact and add up to the two masses; a score without a word is that of all the other words.`
    : `${reasons.detector} is another function of these words: the shares and the scores without a word are those of equation 1 on ${labelSetOf(reasons)}, whose score is ${picture.log_odds.toFixed(4)}.`;
  return [head, bar, legend, reasons.is_equation ? withoutText(picture, threshold) : null,
    element("div", { class: "sides" }, sideTable(reasons, picture, "positives", threshold), sideTable(reasons, picture, "negatives", threshold)),
    element("p", { class: "note", textContent: note })];
}

sections.push((data) => {
  if (!$("gallery")) return;
  const [runSelect, kind, set, word] = ["run", "kind", "set", "word"].map((part) => $(`pictures-${part}`));
  const runs = data.runs.map((run, i) => [i, run]).filter(([, run]) => run.reasons);
  choices(runSelect, runs.map(([i, run]) => [String(i), run.name]));
  let reasons;
  let chosen = null;
  const threshold = () => thresholdOf(Number(runSelect.value), reasons.detector) ?? reasons.threshold;

  function matching() {
    const text = word.value.trim().toLowerCase();
    const fits = (picture) => (kind.value === "one word"
      ? reasons.is_equation && picture.log_odds !== null && turningWords(picture, threshold()).turning.length
      : !kind.value || picture.kind === kind.value);
    return reasons.pictures.filter((picture) => fits(picture) && (!set.value || picture.set === set.value)
      && (!text || [...picture.positives, ...picture.negatives].some((one) => one.word.toLowerCase().includes(text))));
  }

  function explain(picture, button) {
    chosen = picture;
    for (const other of $("gallery").querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
    $("why").replaceChildren(...whyOf(reasons, picture, threshold()).filter(Boolean));
  }

  function draw() {
    const pictures = matching();
    $("gallery").replaceChildren(...pictures.map((picture) => {
      const text = `${KINDS[picture.kind]}, ${picture.key}, set ${picture.set}, score ${picture.score.toFixed(2)}`;
      const button = element("button", { type: "button", "aria-label": text, "aria-pressed": "false" },
        smallPicture(reasons, picture.thumbnail, "") ?? element("span", { class: "missing" }, named(picture.key)),
        element("small", {}, named(picture.set)), element("small", { textContent: picture.score.toFixed(2) }));
      button.addEventListener("click", () => explain(picture, button));
      return element("li", {}, button);
    }));
    const first = $("gallery").querySelector("button");
    if (first) explain(pictures[0], first);
    else $("why").replaceChildren(element("p", { class: "note", textContent: "No picture of this page fits." }));
  }

  function choose() {
    reasons = data.runs[Number(runSelect.value)].reasons;
    choices(set, [["", "all"], ...[...new Set(reasons.pictures.map((picture) => picture.set))].map((name) => [name, name])], "");
    const words = new Set(reasons.pictures.flatMap((picture) => picture.positives.slice(0, 2).map((one) => one.word)));
    $("pictures-words").replaceChildren(...[...words].sort().map((value) => element("option", { value })));
    $("pictures-lead").textContent = `${number(reasons.pictures.length)} pictures were chosen by their scores under ${reasons.detector}, at the threshold that ${reasons.source}: a miss is an OOD picture that is accepted, a false alarm an ID picture that is rejected. Choose one to see which words decided.`;
    if (!matching().length) kind.value = "";
    draw();
  }

  operating.listeners.push((run, detector) => {
    if (chosen && run === Number(runSelect.value) && detector === reasons.detector) $("why").replaceChildren(...whyOf(reasons, chosen, threshold()).filter(Boolean));
  });
  runSelect.addEventListener("change", choose);
  for (const control of [kind, set, word]) control.addEventListener("input", draw);
  choose();
});
