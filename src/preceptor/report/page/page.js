"use strict";
// A click on a heading sorts by its column: numbers by value, texts by alphabet, empty places last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const body = table.tBodies[0];
  heads.forEach((head, place) => {
    head.querySelector("button").addEventListener("click", () => {
      const descending = head.getAttribute("aria-sort") === "ascending";
      const key = (row) => {
        const cell = row.cells[place];
        return cell.dataset.value === undefined ? cell.textContent.trim() : Number(cell.dataset.value);
      };
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = typeof x === "number" && typeof y === "number"
          ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
        return descending ? -order : order;
      };
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      body.append(...[...body.rows].sort(compare));
    });
  });
}
// A click on a figure gives it the whole line, another takes it back.
for (const image of document.querySelectorAll(".figures figure img")) {
  image.addEventListener("click", () => image.closest("figure").classList.toggle("wide"));
}
// On paper nothing stays folded.
addEventListener("beforeprint", () => {
  for (const one of document.querySelectorAll("details:not(.recipe)")) one.open = true;
});
