// Loads a page again while something on it is under way. Without it, the page has a link that does the same.
"use strict";
const waiting = document.querySelector("[data-reload]");
if (waiting) {
  setTimeout(() => location.reload(), Number(waiting.dataset.reload));
}
