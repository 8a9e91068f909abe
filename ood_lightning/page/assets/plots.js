// How plots look, in both colour schemes.

const plotted = new Map();

function layoutOf(further) {
  const [ink, soft, line] = [colour("ink"), colour("soft"), colour("line")];
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, tickfont: { color: soft }, title: { font: { color: soft, size: 13 } }, fixedrange: true };
  const { xaxis = {}, yaxis = {}, ...rest } = further;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, size: 13, family: getComputedStyle(document.body).fontFamily },
    margin: { l: 56, r: 12, t: 10, b: 46 }, showlegend: false, hoverlabel: { bgcolor: colour("panel"), font: { color: ink }, bordercolor: line }, dragmode: false,
    ...rest,
    xaxis: { ...axis, ...xaxis, title: { ...axis.title, text: xaxis.title ?? "" } },
    yaxis: { ...axis, ...yaxis, title: { ...axis.title, text: yaxis.title ?? "" } },
  };
}

function plot(id, make) {
  plotted.set(id, make);
  const { traces, layout } = make();
  Plotly.react($(id), traces, layoutOf(layout), { displayModeBar: false, responsive: true });
}

// Plotly reads a small part of HTML in texts: names from outside lose their brackets, and so stay texts.
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replace(/[\u0000-\u001f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [id, make] of plotted) plot(id, make);
});
