// Shows how far a replay has come, and loads the page once more when it is done.
"use strict";
const bar = document.querySelector("[data-figures]");
const text = document.getElementById("figures");
async function look() {
  try {
    const answer = await fetch(bar.dataset.figures, { headers: { Accept: "application/json" } });
    if (answer.redirected || !answer.ok) {
      location.reload();
      return;
    }
    const figures = await answer.json();
    bar.value = Math.min(figures.seen, figures.total);
    text.textContent = `${figures.seen} of ${figures.total}`;
    if (figures.finished) {
      location.reload();
      return;
    }
  } catch {
    // The network may be away for a moment.
  }
  setTimeout(look, 1000);
}
if (bar) {
  setTimeout(look, 1000);
}
