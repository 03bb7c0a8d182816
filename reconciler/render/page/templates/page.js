// Search, keyboard and refresh. Everything else works without this script. It writes text only as text.
"use strict";

(() => {
  const page = document.documentElement;
  const root = page.dataset.root || "";
  const form = document.querySelector(".search");
  const input = document.getElementById("search");
  const results = document.getElementById("results");
  const MOST = 50;
  let specs = null;

  function load() {
    if (specs !== null) return;
    specs = [];
    const script = document.createElement("script");
    script.src = root + "search.js";
    script.onload = () => { specs = window.SPECS || []; show(); };
    document.head.append(script);
  }

  function entry([name, state, href]) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = root + href;
    link.textContent = name;
    const badge = document.createElement("span");
    badge.className = "badge s-" + state;
    badge.textContent = state;
    item.append(link, " ", badge);
    return item;
  }

  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    results.replaceChildren();
    if (words.length === 0) return;
    const fitting = specs.filter(([name, state]) => words.every((word) => name.includes(word) || state === word));
    results.append(...fitting.slice(0, MOST).map(entry));
    if (fitting.length > MOST || fitting.length === 0) {
      const note = document.createElement("li");
      note.textContent = fitting.length === 0 ? "No spec matches." : (fitting.length - MOST) + " more";
      results.append(note);
    }
  }

  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = results.querySelector("a");
    if (first) first.click();
  });
  input.addEventListener("focus", load);
  input.addEventListener("input", () => { load(); show(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !["INPUT", "TEXTAREA"].includes(document.activeElement.tagName)) {
      event.preventDefault();
      input.focus();
    }
    if (event.key === "Escape" && document.activeElement === input) {
      input.value = "";
      show();
      input.blur();
    }
  });

  const made = page.dataset.live;
  if (made) {
    setInterval(async () => {
      if (document.hidden || input.value) return;
      try {
        const answer = await fetch(root + "version", { cache: "no-store" });
        if (answer.ok && (await answer.text()) !== made) location.reload();
      } catch (error) {
        // The service is stopped or starts again; the next round asks again.
      }
    }, 10000);
  }
})();
