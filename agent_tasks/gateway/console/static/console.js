// Times as ages, charts, and text that is copied. Everything else is made on the server.
"use strict";

function span(seconds) {
  const units = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
  for (const [size, name, less, small] of units) {
    if (seconds >= size) {
      const rest = Math.floor((seconds % size) / less);
      const two = rest && Math.floor(seconds / size) < 10 && name !== "min";
      return Math.floor(seconds / size) + " " + name + (two ? " " + rest + " " + small : "");
    }
  }
  return Math.floor(seconds) + " s";
}

// The gateway's clock, whatever this machine's says.
const ahead = Date.now() - Date.parse(document.documentElement.dataset.now);

function tellAges(root) {
  const now = Date.now() - ahead;
  for (const time of root.querySelectorAll("time[data-age]")) {
    const seconds = (now - Date.parse(time.dateTime)) / 1000;
    const text = seconds >= 0 ? span(seconds) + " ago" : "in " + span(-seconds);
    if (time.textContent !== text) time.textContent = text;
  }
}

function drawCharts(root) {
  for (const box of root.querySelectorAll("[data-chart]")) {
    const data = JSON.parse(box.dataset.chart);
    if (box.drawn === box.dataset.chart + box.clientWidth) continue;
    box.drawn = box.dataset.chart + box.clientWidth;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false },
      font: "12px system-ui, sans-serif" };
    const bars = uPlot.paths.bars({ size: [0.8, 40], align: 1 });
    const value = (_, __, series, i) => (i === null || i === undefined ? "–" : data.series[series - 1].values[i]);
    // Bars stand upon each other: the first is drawn as the sum of all, so that the others hide its lower part.
    const stacked = data.series.map((one, place) => one.kind !== "bar" ? one.values : one.values.map((_, i) =>
      data.series.slice(place).reduce((sum, other) => other.kind === "bar" ? sum + other.values[i] : sum, 0)));
    box.replaceChildren();
    new uPlot({
      width: box.clientWidth, height: 180, cursor: { y: false }, legend: { live: box.clientWidth > 500 },
      axes: [{ ...axis }, { ...axis, size: 52 }],
      scales: { x: { range: (_, first, last) => [first, last + 1800] }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.05 : 1] } },
      series: [{}, ...data.series.map((one) => ({ label: one.label, stroke: colour("--" + one.colour), value,
        ...(one.kind === "bar" ? { fill: colour("--" + one.colour), width: 0, paths: bars } : { width: 2, points: { show: false } }) }))],
    }, [data.times, ...stacked], box);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  tellAges(document);
  drawCharts(document);
  setInterval(() => tellAges(document), 1000);
  new MutationObserver(() => { tellAges(document); drawCharts(document); })
    .observe(document.body, { childList: true, characterData: true, subtree: true, attributes: true, attributeFilter: ["data-chart"] });
  let resized;
  addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => drawCharts(document), 150); });
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const from = document.getElementById(button.dataset.copyFrom);
  const text = from ? from.textContent : button.dataset.copy;
  const said = button.textContent;
  navigator.clipboard.writeText(text).then(() => {
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = said; }, 1500);
  }, () => { getSelection().selectAllChildren(document.getElementById(button.dataset.from || button.dataset.copyFrom) || button); });
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) event.preventDefault(); // a second click
  form.dataset.sent = "yes";
});

addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// A reload neither says again what was said, nor sends a form again.
const here = document.documentElement.dataset.here;
if (here && here !== location.pathname + location.search) history.replaceState(history.state, "", here + location.hash);

function sessionEnded() {
  const fields = [...document.querySelectorAll("form[method=post] :is(input:not([type=hidden]), textarea)")];
  const isFilledIn = fields.some((one) => one.type === "radio" ? one.checked !== one.defaultChecked : one.value !== one.defaultValue);
  const { base } = document.documentElement.dataset;
  const there = (location.pathname + location.search).slice(base.length);
  if (isFilledIn) document.getElementById("ended").hidden = false;
  else location.assign(base + "/sign-in?next=" + encodeURIComponent(there));
}

document.addEventListener("signed-out", sessionEnded);
document.addEventListener("rest", (event) => {
  const note = document.getElementById("rest");
  note.hidden = event.detail.data === "0";
  note.textContent = "Much is looked at: this page is renewed every " + event.detail.data + " s.";
});
document.addEventListener("htmx:sse:error", (event) => { if (event.detail.status === 401) sessionEnded(); });

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea, select") && !event.ctrlKey && !event.metaKey) {
    const search = document.getElementById("search");
    if (search) { event.preventDefault(); search.focus(); }
  }
});

for (const [event, state] of [["after:message", "live"], ["after:connection", "live"], ["error", "lost"]]) {
  document.addEventListener("htmx:sse:" + event, () => { document.documentElement.dataset.stream = state; });
}
