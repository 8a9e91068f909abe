// Results over settings that differ: a table for each kind of detector, and a plot where a setting is a number.

sections.push((data) => {
  if (!$("varied")) return;
  data.sensitivity.tables.forEach((table, index) => {
    const caption = `${table.method} on ${table.id_set}`;
    const names = ["run", "detector", ...table.settings, "AUROC (%)", "fpr_ood@id_tpr95 (%)"];
    const rows = table.rows.map((row) => element("tr", {},
      element("th", { scope: "row" }, named(row.run)), element("td", { class: "text" }, named(row.detector)),
      ...table.settings.map((name) => element("td", {}, named(row.settings[name]))),
      ...[row.auroc, row.fpr].map(([value, low, high]) => estimateCell(value === null ? null : [value, low, high, null], true, false))));
    const box = element("div", { class: "tablebox" }, element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, element("table", {},
      element("caption", { class: "unseen" }, caption), element("thead", {}, element("tr", {}, ...names.map((name, i) => element("th", { scope: "col", class: i === 1 ? "text" : "" }, named(name))))), element("tbody", {}, ...rows))));
    const panel = element("div", { class: "panel" }, element("h3", {}, named(caption)), box);
    $("varied").append(panel);
    enhance(box);

    for (const setting of table.settings) {
      const points = table.rows.map((row) => [Number(row.settings[setting]), row]).filter(([x, row]) => row.settings[setting] !== "" && Number.isFinite(x) && row.auroc[0] !== null).sort(([a], [b]) => a - b);
      if (new Set(points.map(([x]) => x)).size < 2) continue;
      const id = `varied-${index}-${table.settings.indexOf(setting)}`;
      panel.append(element("div", { id, class: "plot", role: "img", "aria-label": `AUROC over ${setting}` }));
      const ends = (row, end) => (row.auroc[end] === null ? 0 : Math.abs(row.auroc[end] - row.auroc[0]));
      plot(id, () => ({
        traces: [{
          x: points.map(([x]) => x), y: points.map(([, row]) => row.auroc[0]), mode: "lines+markers", line: { color: colour("id"), width: 2 }, marker: { size: 9 },
          error_y: { type: "data", symmetric: false, array: points.map(([, row]) => ends(row, 2)), arrayminus: points.map(([, row]) => ends(row, 1)), color: colour("soft") },
          text: points.map(([, row]) => plain(row.run)), hovertemplate: "%{text}<br>%{x}: %{y:.2%}<extra></extra>",
        }],
        layout: { height: 320, margin: { l: 76, r: 12, t: 16, b: 50 }, xaxis: { title: plain(setting) }, yaxis: { title: "mean AUROC", tickformat: ".1%" } },
      }));
    }
  });
});
