/* Keys and passages for the task page. Everything here is also there without it; nothing fires in a text field. */
(() => {
  "use strict";
  const form = document.getElementById("judgment");
  if (!form) return;
  const count = Number(form.dataset.answers);
  const help = document.getElementById("help");
  const off = document.getElementById("keys-off");
  const OFF = "intraward-keys-off";
  const one = (selector) => form.querySelector(selector);
  const all = (selector) => [...form.querySelectorAll(selector)];
  const changed = (element) => element.dispatchEvent(new Event("change", { bubbles: true }));

  /* Where Enter in a pair saves, and which answer is marked as chosen. */
  const show = () => {
    all(".answer").forEach((card) => {
      const place = card.dataset.place;
      const best = count === 2 ? one(`input[name=choice][value="${place}"]`) : one(`input[name="rank-${place}"][value="1"]`);
      card.classList.toggle("chosen", Boolean(best && best.checked));
    });
  };
  const check = (selector) => {
    const input = one(selector);
    if (!input) return;
    input.checked = input.type === "checkbox" ? !input.checked : true;
    changed(input);
  };

  /* Ranking three or four: keys in order of merit; 0 ties the next one with the last. */
  let order = [];
  let tie = false;
  const told = document.getElementById("order-told");
  const rank = (place) => {
    if (order.flat().length === count) order = [];
    if (order.flat().includes(place)) return;
    if (tie && order.length) order[order.length - 1].push(place);
    else order.push([place]);
    tie = false;
    order.forEach((group, index) => group.forEach((each) => {
      const input = one(`input[name="rank-${each}"][value="${index + 1}"]`);
      if (input) input.checked = true;
    }));
    all("input[name^=rank-]").forEach((input) => {
      if (!order.flat().includes(Number(input.name.slice(5)))) input.checked = false;
    });
    if (told) told.textContent = order.map((group) => group.map((each) => "ABCD"[each]).join(" = ")).join(" > ");
    changed(form);
  };
  const restart = () => {
    order = []; tie = false;
    all("input[name^=rank-]").forEach((input) => { input.checked = false; });
    if (told) told.textContent = "The order begins again.";
    changed(form);
  };
  const strength = () => {
    const inputs = all("input[name=strength]");
    const next = inputs[(inputs.findIndex((input) => input.checked) + 1) % inputs.length];
    next.checked = true;
    changed(next);
  };
  const turn = {};
  const section = (kind) => {
    const found = all(`[data-${kind}]`);
    if (!found.length) return;
    turn[kind] = ((turn[kind] ?? -1) + 1) % found.length;
    found[turn[kind]].open = true;
    const first = found[turn[kind]].querySelector("input:not([type=hidden])");
    if (first) first.focus();
  };
  const press = (action) => {
    const button = one(`button[name=action][value=${action}]`);
    if (button) form.requestSubmit(button);
  };
  const field = (id) => { const input = document.getElementById(id); if (input) input.focus(); };
  const toggleHelp = () => (help.open ? help.close() : help.showModal());

  const keys = {
    0: () => { if (count === 2) check("input[name=choice][value=tie]"); else { tie = true; if (told) told.textContent += " ="; } },
    s: strength, u: () => check("input[name=unacceptable]"),
    f: () => section("flags"), r: () => section("ratings"),
    w: () => field("rationale"), c: () => field("correction"),
    k: () => field("skip_reason"), e: () => press("escalate"),
    p: () => press("phi"),
    z: () => { const undo = document.getElementById("undo"); if (undo) undo.requestSubmit(); },
    enter: () => press("submit"), "?": toggleHelp,
    backspace: () => { if (count > 2) restart(); },
  };
  for (let place = 0; place < count; place += 1) {
    keys[place + 1] = () => (count === 2 ? check(`input[name=choice][value="${place}"]`) : rank(place));
  }
  const typing = (target) => target.closest("textarea, select, dialog, input[type=text], input:not([type]), [contenteditable]");
  const native = (target, key) => key === "enter" && target.closest("a, button, summary");
  document.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase();
    if (key === "escape" && event.target.closest("textarea, select")) { event.target.blur(); return; }
    if (event.defaultPrevented || event.repeat || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target)) {
      if (key === "enter" && event.target.id === "skip_reason") { event.preventDefault(); press("skip"); }
      return;
    }
    if (native(event.target, key) || !Object.hasOwn(keys, key)) return;
    if (off.checked && key !== "?") return;
    event.preventDefault();
    keys[key]();
  });

  /* A passage: select words in an answer, then tick a failure. Offsets count characters, not UTF-16 units. */
  let passage = null;
  document.addEventListener("selectionchange", () => {
    const selection = document.getSelection();
    if (!selection || selection.isCollapsed || !selection.rangeCount) return;
    const range = selection.getRangeAt(0).cloneRange();
    const node = range.startContainer;
    const holder = (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest("[data-text]");
    if (!holder || holder.querySelector("em")) { passage = null; return; }
    if (!holder.contains(range.endContainer)) range.setEnd(holder, holder.childNodes.length); /* a triple click goes beyond */
    const before = document.createRange();
    before.setStart(holder, 0);
    before.setEnd(range.startContainer, range.startOffset);
    const start = [...before.toString()].length;
    const words = [...range.toString()];
    passage = words.length ? { place: holder.dataset.text, start, end: start + words.length, words: words.join("") } : null;
  });
  form.addEventListener("change", (event) => {
    const match = /^flag-(\d)-(.+)$/.exec(event.target.name || "");
    if (match) {
      const span = one(`input[name="span-${match[1]}-${match[2]}"]`);
      const note = event.target.parentElement.querySelector(".span-told");
      const fits = event.target.checked && passage && passage.place === match[1];
      span.value = fits ? `${passage.start}-${passage.end}` : "";
      note.textContent = fits ? `“${passage.words.length > 80 ? `${passage.words.slice(0, 80)}…` : passage.words}”` : "";
    }
    show();
  });

  const state = document.getElementById("draft-state");
  document.body.addEventListener("htmx:responseError", () => { state.textContent = "Draft not saved: log in again in another tab"; });
  document.body.addEventListener("htmx:sendError", () => { state.textContent = "Draft not saved: the station does not answer"; });

  /* A second click sends nothing. */
  document.addEventListener("submit", (event) => {
    if (event.target.method === "dialog") return;
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("form").forEach((each) => { delete each.dataset.sent; }));

  try { off.checked = localStorage.getItem(OFF) === "yes"; } catch { off.checked = false; }
  off.addEventListener("change", () => { try { localStorage.setItem(OFF, off.checked ? "yes" : "no"); } catch { /* private window */ } });
  const opener = document.getElementById("help-open");
  opener.hidden = false;
  opener.addEventListener("click", toggleHelp);
  show();
})();
