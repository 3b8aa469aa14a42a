"use strict";
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const header = button.closest("th"), body = header.closest("table").tBodies[0];
    const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    const value = (row) => row.cells[header.cellIndex].dataset.value;
    const number = (text) => (text === "" ? NaN : Number(text));
    const rows = Array.from(body.rows);
    const numbers = rows.every((row) => value(row) === "" || !Number.isNaN(number(value(row))));
    const compare = (a, b) => {
      if (!numbers) return sign * a.localeCompare(b);
      const [first, second] = [number(a), number(b)];
      return Number.isNaN(first) - Number.isNaN(second) || sign * (first - second); // what is not known comes last
    };
    rows.sort((one, other) => compare(value(one), value(other)));
    body.append(...rows);
    for (const each of header.parentNode.cells) each.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  });
}
