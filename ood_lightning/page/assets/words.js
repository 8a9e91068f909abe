// The positives: two maps of them, and a card for each with its pictures, votes and neighbours.

const CARDS = 24;

// A detector that reads no words names no label set; then it is the one that the run made.
const labelSetOf = (reasons) => (reasons.label_set ? `label set ${reasons.label_set}` : "the run's label set");

// A small picture, or where there is none its name.
function smallPicture(reasons, name, text) {
  const data = name && reasons.thumbnails[name];
  return data ? element("img", { src: `data:image/webp;base64,${data}`, alt: text, loading: "lazy" }) : null;
}

function supportLine(text, share) {
  const fill = element("i");
  fill.style.width = `${100 * Math.min(1, share)}%`;
  return element("p", { class: "support" }, text, element("span", { class: "bar" }, fill));
}

function neighbourLine(title, neighbours) {
  if (!neighbours.length) return null;
  return element("div", {}, element("p", { class: "support", textContent: title }),
    element("ul", { class: "chips" }, ...neighbours.map((one) => element("li", {}, named(one.word), ` ${one.cosine.toFixed(2)}`))));
}

function wordCard(reasons, word, mostVotes) {
  const pictures = word.thumbnails.map((name, i) => smallPicture(reasons, name, `picture ${i + 1} nearest to ${word.label}`)).filter(Boolean);
  const far = word.cosine === null ? `nearest word of none of the pictures looked at` : `nearest word of ${number(word.n_nearest)}, mean cosine ${word.cosine.toFixed(3)}`;
  return element("li", {},
    element("h4", {}, named(word.label)),
    word.doubts.length ? element("ul", { class: "chips", "aria-label": "doubts" }, ...word.doubts.map((doubt) => element("li", { class: "doubt", textContent: doubt }))) : null,
    pictures.length ? element("div", { class: "sheet" }, ...pictures) : null,
    word.images === null ? null : supportLine(`${number(word.images)} ${word.images === 1 ? "picture votes" : "pictures vote"}${word.clusters === null ? "" : ` in ${number(word.clusters)} ${word.clusters === 1 ? "cluster" : "clusters"}`}`, word.images / mostVotes),
    word.agreement === null ? null : supportLine(`purity ${percent(word.agreement, 0)} %: votes that are for this very word`, word.agreement),
    element("p", { class: "support", textContent: far }),
    neighbourLine("near in meaning", word.positives),
    neighbourLine("nearest negatives", word.negatives));
}

sections.push((data) => {
  if (!$("words")) return;
  const [runSelect, find, order, doubtful] = ["run", "find", "order", "doubtful"].map((part) => $(`words-${part}`));
  const runs = data.runs.map((run, i) => [i, run]).filter(([, run]) => run.reasons);
  choices(runSelect, runs.map(([i, run]) => [String(i), run.name]));
  const orders = {
    doubt: null, // as they are stored
    votes: (a, b) => (b.images ?? b.n_nearest) - (a.images ?? a.n_nearest),
    label: (a, b) => a.label.localeCompare(b.label),
  };

  let shown = CARDS;
  let reasons;
  function matching() {
    const text = find.value.toLowerCase();
    const words = reasons.words.filter((word) => word.label.toLowerCase().includes(text) && (!doubtful.checked || word.doubts.length));
    return orders[order.value] ? [...words].sort(orders[order.value]) : words;
  }

  function draw() {
    const words = matching();
    const mostVotes = Math.max(1, ...reasons.words.map((word) => word.images ?? 0));
    $("word-cards").replaceChildren(...words.slice(0, shown).map((word) => wordCard(reasons, word, mostVotes)));
    $("words-more").hidden = words.length <= shown;
    $("words-more").textContent = `Show more of ${number(words.length)}`;
  }

  function drawMap() {
    const byPictures = $("map-by").value === "pictures";
    const place = (word) => byPictures ? word.of_pictures : word.position;
    const mapped = reasons.words.filter(place);
    plot("map", () => {
      const scale = Math.min(1, $("map").clientWidth / 700 + 0.25);
      const groups = [["in doubt", (word) => word.doubts.length, "ood", "diamond"], ["others", (word) => !word.doubts.length, "id", "circle"]];
      const traces = groups.map(([name, belongs, hue, symbol]) => {
        const words = mapped.filter(belongs);
        return {
          name, x: words.map((word) => place(word)[0]), y: words.map((word) => place(word)[1]), text: words.map((word) => plain(word.label)),
          customdata: words.map((word) => [word.images ?? word.n_nearest, word.doubts.join(", ") || "none"]),
          mode: "markers", type: "scatter", marker: { color: colour(hue), symbol, opacity: 0.8, size: words.map((word) => scale * (7 + 2.2 * Math.sqrt(word.images ?? word.n_nearest))), sizemode: "diameter", line: { color: colour("panel"), width: 1 } },
          hovertemplate: "<b>%{text}</b><br>%{customdata[0]} votes<br>doubts: %{customdata[1]}<extra></extra>",
        };
      });
      // The words with most votes are named, as many as can be read, none over another.
      const box = $("map").getBoundingClientRect();
      const placed = [];
      const [xs, ys] = [0, 1].map((axis) => mapped.map((word) => place(word)[axis]));
      const spread = (values) => Math.max(...values) - Math.min(...values) || 1;
      const [perX, perY] = [(box.width - 70) / spread(xs), 390 / spread(ys)];
      const annotations = [...mapped].sort((a, b) => (b.images ?? b.n_nearest) - (a.images ?? a.n_nearest)).filter((word) => {
        const [x, y] = [place(word)[0] * perX, place(word)[1] * perY];
        const half = 4 * word.label.length + 4;
        if (placed.length > 40 || placed.some(([px, py, ph]) => Math.abs(px - x) < ph + half && Math.abs(py - y) < 20)) return false;
        placed.push([x, y, half]);
        return true;
      }).map((word) => ({ x: place(word)[0], y: place(word)[1], text: plain(word.label), showarrow: false, yshift: 13, font: { size: 11.5, color: colour("ink") } }));
      const layout = {
        height: 460, annotations, margin: { l: 8, r: 8, t: 34, b: 8 }, showlegend: true, legend: { orientation: "h", x: 0, y: 1.09, font: { color: colour("soft") } },
        xaxis: { visible: false }, yaxis: { visible: false },
      };
      return { traces, layout };
    });
    const without = reasons.words.length - mapped.length;
    const said = byPictures
      ? `Each word stands at the middle of the pictures that are nearest to it, so concepts whose pictures look alike lie near one another${without ? `; ${number(without)} of the words ${without === 1 ? "has" : "have"} no such picture and no place` : ""}`
      : "Words that are near in meaning lie near one another";
    const held = byPictures ? reasons.explained_pictures : reasons.explained;
    $("map-text").textContent = `${said}. Two directions cannot show it all: they hold ${percent(held, 0)} % of the variance (principal components of the ${byPictures ? "mean image features" : "text features"}). Larger: more votes. Every word also has a card below.`;
  }

  function choose() {
    reasons = data.runs[Number(runSelect.value)].reasons;
    const known = reasons.words.some((word) => word.of_pictures); // runs of earlier versions have one map
    $("map-by").value = known ? "pictures" : "text";
    $("map-by").disabled = !known;
    shown = CARDS;
    const doubted = reasons.words.filter((word) => word.doubts.length).length;
    $("words-lead").textContent = `${number(reasons.words.length)} positives of ${labelSetOf(reasons)}, against ${number(reasons.n_negatives)} negatives. ${number(doubted)} look wrong in some way and come first: few votes, split votes, or far from their pictures. Pictures: ${reasons.looked_at}, each under its nearest positive.`;
    drawMap();
    draw();
  }

  runSelect.addEventListener("change", choose);
  $("map-by").addEventListener("change", drawMap);
  for (const control of [find, order, doubtful]) control.addEventListener("input", () => { shown = CARDS; draw(); });
  $("words-more").addEventListener("click", () => { shown += 2 * CARDS; draw(); });
  choose();
});
