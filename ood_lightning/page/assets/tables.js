// Tables that are sorted, filtered and copied as they are shown.

const cellText = (cell) => (cell.dataset.copy ?? cell.textContent).trim();
const cellValue = (cell) => (cell.dataset.value !== undefined ? Number(cell.dataset.value) : Number.parseFloat(cell.textContent.replaceAll(",", "")));

function shownLines(table) {
  const head = [...table.tHead.rows].at(-1);
  const body = [...table.tBodies[0].rows].filter((row) => !row.hidden);
  return [[...head.cells].map((cell) => cell.dataset.name ?? cellText(cell)), ...body.map((row) => [...row.cells].map(cellText))];
}

// A spreadsheet takes a text that begins as a formula does for one.
function csvCell(text) {
  const guarded = /^'*[=+\-@\t\r\n]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}
const asCsv = (lines) => lines.map((line) => line.map(csvCell).join(",")).join("\r\n") + "\r\n";

const markdownCell = (text) => text.replace(/\s+/g, " ").replace(/[\\|<*`]|\[(?=[^\]]*\]\()/g, "\\$&");
function asMarkdown(lines) {
  const [head, ...body] = lines.map((line) => `| ${line.map(markdownCell).join(" | ")} |`);
  return [head, `| ${lines[0].map((_, i) => (i ? "---:" : "---")).join(" | ")} |`, ...body].join("\n") + "\n";
}

const LATEX = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
const latexCell = (text) => text.replace(/\s+/g, " ").replace(/[\\~^]|[&%$#_{}]/g, (sign) => LATEX[sign] ?? `\\${sign}`).replaceAll("±", "$\\pm$");
function asLatex(lines) {
  const [head, ...body] = lines.map((line) => `  ${line.map(latexCell).join(" & ")} \\\\`);
  const columns = "l" + "r".repeat(lines[0].length - 1);
  return [`\\begin{tabular}{${columns}}`, "  \\toprule", head, "  \\midrule", ...body, "  \\bottomrule", "\\end{tabular}", ""].join("\n");
}

function sortBy(table, column, button) {
  const head = button.closest("th");
  const descending = head.getAttribute("aria-sort") !== "descending";
  for (const other of table.tHead.querySelectorAll("th[aria-sort]")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");

  const rows = [...table.tBodies[0].rows];
  const numeric = rows.some((row) => !Number.isNaN(cellValue(row.cells[column])));
  const sign = descending ? -1 : 1;
  rows.sort((a, b) => {
    const [left, right] = [a.cells[column], b.cells[column]];
    if (!numeric) return sign * cellText(left).localeCompare(cellText(right));
    const [x, y] = [cellValue(left), cellValue(right)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // missing ones last
    return sign * (x - y);
  });
  table.tBodies[0].append(...rows);
}

function enhance(box) {
  const table = box.querySelector("table");
  const head = [...table.tHead.rows].at(-1);
  [...head.cells].forEach((cell, column) => {
    if (!cell.textContent) return;
    cell.dataset.name ??= cell.textContent;
    const button = element("button", { type: "button" }, ...cell.childNodes);
    button.addEventListener("click", () => sortBy(table, column, button));
    cell.append(button);
    cell.setAttribute("aria-sort", "none");
  });

  const find = element("input", { type: "search", placeholder: "Filter rows", "aria-label": `Filter rows of ${table.caption?.textContent ?? "the table"}` });
  find.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
  });
  const copies = [["CSV", asCsv], ["Markdown", asMarkdown], ["LaTeX", asLatex]].map(([what, make]) => {
    const button = element("button", { type: "button", textContent: what, "aria-label": `Copy the table as ${what}` });
    button.addEventListener("click", () => copy(make(shownLines(table)), what));
    return button;
  });
  box.prepend(element("div", { class: "tools" }, find, element("span", { class: "note", textContent: "Copy as" }), ...copies));
}

function estimateCell(values, withInterval, best) {
  if (!values) return element("td", { textContent: "–" });
  const [value, low, high, std] = values;
  const cell = element("td", { class: best ? "best" : "" }, percent(value, 2));
  let text = percent(value, 2);
  if (std !== null) text += ` ± ${percent(std, 2)}`;
  if (std !== null) cell.append(element("span", { class: "interval", textContent: `± ${percent(std, 2)}` }));
  if (withInterval && low !== null && high !== null) {
    const interval = `[${percent(low, 2)}, ${percent(high, 2)}]`;
    text += ` ${interval}`;
    cell.append(element("span", { class: "interval", textContent: interval }));
  }
  cell.dataset.value = value;
  cell.dataset.copy = text;
  return cell;
}

function gridTable(grid, metric, group, withInterval) {
  const shown = (column) => grid.rows.some((row) => row.cells[metric.key]?.[column.name]);
  const columns = grid.columns.filter((column) => shown(column) && (!group || column.group === group));
  const bestOf = (column) => {
    const values = grid.rows.map((row) => row.cells[metric.key]?.[column.name]?.[0]).filter((value) => value !== undefined);
    return metric.higher ? Math.max(...values) : Math.min(...values);
  };
  const best = columns.map(bestOf);
  const isMean = (column) => column.mean;

  const caption = `${metric.name} (%), ID set ${grid.id_set}`;
  const names = [["detector", "text"], ["supervision", "text"], ...columns.map((column) => [column.name, isMean(column) ? "mean" : ""])];
  const head = [element("tr", {}, ...names.map(([name, kind]) => element("th", { scope: "col", class: kind }, named(name))))];
  if (columns.some((column) => column.group)) {
    const spans = [];
    for (const column of columns) {
      if (spans.at(-1)?.[0] === column.group) spans.at(-1)[1] += 1;
      else spans.push([column.group, 1]);
    }
    head.unshift(element("tr", {}, element("td", { colspan: 2 }), ...spans.map(([name, span]) => name
      ? element("th", { class: "group", scope: "colgroup", colspan: span }, named(name)) : element("td", { colspan: span }))));
  }
  const rows = grid.rows.filter((row) => row.cells[metric.key]).map((row) => element("tr", {},
    element("th", { scope: "row" }, named(row.detector)),
    element("td", { class: "text", textContent: (row.supervision.join(", ") || "nothing") + (row.stream ? "; learns from the test stream" : "") }),
    ...columns.map((column, i) => {
      const values = row.cells[metric.key][column.name];
      const cell = estimateCell(values, withInterval, values && values[0] === best[i]);
      if (isMean(column)) cell.classList.add("mean");
      return cell;
    })));
  const table = element("table", { class: "grid" }, element("caption", { class: "unseen" }, caption), element("thead", {}, ...head), element("tbody", {}, ...rows));
  const scroll = element("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, table);
  return element("div", { class: "tablebox" }, scroll);
}

sections.push((data) => {
  for (const box of document.querySelectorAll("[data-table]")) enhance(box);
  if (!$("grid")) return;

  const [metric, set, group, interval] = ["metric", "id", "group", "interval"].map((part) => $(`grid-${part}`));
  choices(metric, data.metrics.map((one) => [one.key, one.name]));
  choices(set, data.grids.map((grid, i) => [String(i), grid.id_set]));

  const draw = () => {
    const grid = data.grids[Number(set.value)];
    const groups = [...new Set(grid.columns.map((column) => column.group).filter(Boolean))];
    const before = group.value;
    choices(group, [["", "all"], ...groups.map((name) => [name, name])], groups.includes(before) ? before : "");
    const chosen = data.metrics.find((one) => one.key === metric.value);
    const box = gridTable(grid, chosen, group.value, interval.checked);
    enhance(box);
    $("grid").replaceChildren(box);
    $("grid-note").textContent = `${chosen.name}: ${chosen.title || "in percent"}. ${chosen.higher ? "Higher" : "Lower"} is better; the best of each column is marked.`;
  };
  for (const control of [metric, set, group, interval]) control.addEventListener("change", draw);
  draw();
});
