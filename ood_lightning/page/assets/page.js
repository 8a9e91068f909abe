"use strict";
// What all sections share: the data, and elements whose texts are texts. Nothing here writes markup.

const $ = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("aria-") || key === "role" || key === "scope" || key === "colspan") made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Directions of writing in a name from outside stay inside it.
const named = (text) => element("bdi", {}, text);

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function floats(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

function choices(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => element("option", { value, textContent: text })));
  if (chosen !== undefined) select.value = chosen;
  const label = select.closest("label");
  if (label) label.hidden = options.length < 2;
}

const percent = (share, digits = 1) => (100 * share).toFixed(digits);
const number = (value) => value.toLocaleString("en");
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

let silence;
function say(text) {
  $("status").textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { $("status").textContent = ""; }, 2500);
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element("textarea", { value: text, "aria-label": what });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`Copied as ${what}`);
}

// Images at or above a threshold, of ascending scores; these are float32, so the threshold is taken as one too.
function acceptedShare(scores, exactThreshold) {
  const threshold = Math.fround(exactThreshold);
  let low = 0;
  let high = scores.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[middle] < threshold) low = middle + 1;
    else high = middle;
  }
  return (scores.length - low) / scores.length;
}

// One operating point for each run and detector; whoever shows decisions listens.
const operating = { points: new Map(), listeners: [] };
const keyOf = (run, detector) => JSON.stringify([run, detector]);
const thresholdOf = (run, detector) => operating.points.get(keyOf(run, detector));
function setThreshold(run, detector, value) {
  operating.points.set(keyOf(run, detector), value);
  for (const listener of operating.listeners) listener(run, detector);
}

const sections = [];
addEventListener("DOMContentLoaded", async () => {
  try {
    const data = await unpacked($("payload").textContent);
    data.runs.forEach((run, index) => {
      for (const detector of run.scores.detectors) {
        detector.sorted = Object.fromEntries(Object.entries(detector.scores).map(([name, text]) => [name, floats(text)]));
        operating.points.set(keyOf(index, detector.name), detector.threshold);
      }
      const reasons = run.reasons;
      if (reasons && !operating.points.has(keyOf(index, reasons.detector))) {
        operating.points.set(keyOf(index, reasons.detector), reasons.threshold);
      }
    });
    for (const section of sections) section(data);
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    $("failure").hidden = false;
    $("failure").textContent = `The page could not be built (${error}). It needs a browser of 2023 or newer.`;
    throw error;
  }
});
