// Taps without a new page, and the conversation kept fresh. The page works without this file, too.
"use strict";

const card = document.getElementById("card");
let waiting = false;

card.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-card]");
  if (!form) return;
  event.preventDefault();
  if (waiting) return;
  waiting = true;
  const body = new FormData(form, event.submitter);
  const pressed = event.submitter;
  pressed?.classList.add("busy");
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Fragment": "card" } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    card.innerHTML = await answer.text();
  } catch {
    // The page's own server is away: let the browser say so.
    window.location.reload();
  } finally {
    waiting = false;
  }
  refresh();
});

// The controls around the conversation. A form that has none of its own address has it on its buttons.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("[data-act]");
  if (!form) return;
  event.preventDefault();
  const address = event.submitter?.getAttribute("formaction") || form.getAttribute("action");
  const body = new FormData(form, event.submitter);
  const notice = document.getElementById("notice");
  let answer;
  event.submitter?.classList.add("busy");
  try {
    answer = await (await fetch(address, { method: "POST", body, headers: { "X-Fragment": "act" } })).json();
  } catch {
    window.location.reload();
    return;
  } finally {
    event.submitter?.classList.remove("busy");
  }
  notice.textContent = answer.notice || "";
  notice.hidden = !answer.notice;
  if (answer.moved) { window.location.assign(answer.moved); return; }
  if (answer.notice) return;
  if (answer.calls) { document.getElementById("calls").innerHTML = answer.calls; }
  else { form.reset(); form.closest("details")?.removeAttribute("open"); document.activeElement?.blur(); }
  refresh();
});

// What the page showed last, by key: what differs is marked for a moment.
function remember(element) {
  const found = new Map();
  for (const item of element.querySelectorAll("[data-key]")) found.set(item.dataset.key, item.textContent);
  return found;
}

const last = {};

async function refresh() {
  let parts;
  try {
    const answer = await fetch(document.body.dataset.live);
    if (!answer.ok) return;
    parts = await answer.json();
  } catch {
    return; // The next round will tell.
  }
  for (const [name, html] of Object.entries(parts)) {
    const element = document.getElementById(name);
    if (last[name] === html) continue;
    // Whoever is about to type in here must not lose what they have typed; the next round will do.
    if (element.querySelector("details[open]")) continue;
    const before = remember(element);
    element.innerHTML = html;
    if (name === "list") { last[name] = html; continue; }
    let fresh = 0;
    for (const item of element.querySelectorAll("[data-key]")) {
      if (before.get(item.dataset.key) !== item.textContent) { item.classList.add("fresh"); fresh += 1; }
    }
    if (name === "thread" && (fresh || last[name] === undefined)) element.scrollTop = element.scrollHeight;
    last[name] = html;
  }
}

refresh();
setInterval(refresh, 1000);
