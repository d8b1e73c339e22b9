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

function tellAges(root) {
  const now = Date.now();
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
    const stacked = [data[0], data[1].map((each, i) => each + data[2][i]), data[2]];
    const value = (_, __, series, i) => (i === null || i === undefined ? "–" : data[series][i]);
    box.replaceChildren();
    new uPlot({
      width: box.clientWidth, height: 180, cursor: { y: false }, legend: { live: box.clientWidth > 500 },
      axes: [{ ...axis }, { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10000] }],
      scales: { x: { range: (_, first, last) => [first, last + 1800] }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.05)] } },
      series: [{}, { label: "completed", fill: colour("--good"), stroke: colour("--good"), width: 0, paths: bars, value },
        { label: "not completed", fill: colour("--bad"), stroke: colour("--bad"), width: 0, paths: bars, value }],
    }, stacked, box);
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
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy;
  const said = button.textContent;
  navigator.clipboard.writeText(text).then(() => {
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = said; }, 1500);
  }, () => { getSelection().selectAllChildren(document.getElementById(button.dataset.from) || button); });
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, textarea, select") && !event.ctrlKey && !event.metaKey) {
    const search = document.getElementById("search");
    if (search) { event.preventDefault(); search.focus(); }
  }
});

for (const [event, state] of [["after:message", "live"], ["after:connection", "live"], ["error", "lost"]]) {
  document.addEventListener("htmx:sse:" + event, () => { document.documentElement.dataset.stream = state; });
}
