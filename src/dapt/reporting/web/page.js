// What a browser adds to the report: charts in place of pictures, tables that sort, details opened for the printer.
"use strict";

const charts = JSON.parse(document.getElementById("charts").textContent);
const narrow = window.matchMedia("(max-width: 48rem)");

// The picture stays until its chart is drawn, and for good where it cannot be.
async function draw(picture) {
  const chart = document.createElement("div");
  const specification = charts[picture.dataset.chart];
  if (narrow.matches && "columns" in specification) specification.columns = 1;
  await vegaEmbed(chart, specification, { renderer: "svg", actions: false });
  picture.replaceChildren(chart);
}

// What a cell is sorted by: its first number, else its text; a cell that says nothing comes last.
function key(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = Number.parseFloat(text.replaceAll(",", ""));
  return { text, number, empty: text === "" || text === "–" };
}

function compare(one, other) {
  if (Number.isNaN(one.number) || Number.isNaN(other.number)) return one.text.localeCompare(other.text, "en");
  return one.number - other.number;
}

function sort(table, column) {
  const headings = [...table.tHead.rows[0].cells];
  const down = headings[column].ariaSort === "ascending";
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, of: key(row, column) }));
  rows.sort((one, other) => one.of.empty - other.of.empty || (down ? -1 : 1) * compare(one.of, other.of));
  table.tBodies[0].append(...rows.map(({ row }) => row));
  headings.forEach((heading, at) => {
    if (at === column) heading.ariaSort = down ? "descending" : "ascending";
    else heading.removeAttribute("aria-sort");
  });
}

for (const table of document.querySelectorAll("table")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    if (!heading.textContent) return;
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, column));
    heading.append(button);
  });
}

// Charts inside details are drawn when they are opened: before that they have no width.
for (const picture of document.querySelectorAll("[data-chart]")) {
  const details = picture.closest("details");
  if (details === null) draw(picture);
  else details.addEventListener("toggle", () => draw(picture), { once: true });
}

window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
