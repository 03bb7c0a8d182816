// Search, keyboard, refresh, and the age of the page. Everything else works without this script. It writes text only as text.
"use strict";

(() => {
  const page = document.documentElement;
  const root = page.dataset.root || "";
  const form = document.querySelector(".search");
  const input = document.getElementById("search");
  const results = document.getElementById("results");
  const MOST = 50;
  let index = null;

  function load() {
    if (index !== null) return;
    index = { states: [], words: [], specs: [] };
    const script = document.createElement("script");
    script.src = root + "search.js";
    script.onload = () => {
      index = window.SPECS;
      index.words = index.words.map((text) => text.toLowerCase());
      show();
    };
    document.head.append(script);
  }

  // A word fits a part of the name, of the kind or of a label, or a whole state.
  function fits([name, state, words], word) {
    return name.includes(word) || index.states[state] === word || index.words[words].includes(word);
  }

  function entry([name, state]) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = root + "specs/" + encodeURIComponent(name) + ".html";
    const text = document.createElement("span");
    text.textContent = name;
    const badge = document.createElement("span");
    badge.className = "s-" + index.states[state];
    badge.textContent = index.states[state];
    link.append(text, badge);
    item.append(link);
    return item;
  }

  function show() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    results.replaceChildren();
    if (words.length === 0) return;
    const fitting = index.specs.filter((spec) => words.every((word) => fits(spec, word)));
    results.append(...fitting.slice(0, MOST).map(entry));
    if (fitting.length > MOST || fitting.length === 0) {
      const note = document.createElement("li");
      note.className = "note";
      note.textContent = fitting.length === 0 ? "No spec matches." : (fitting.length - MOST).toLocaleString("en") + " more";
      results.append(note);
    }
  }

  function close() {
    input.value = "";
    show();
  }

  // Moves the focus between the field and the results.
  function move(event, step) {
    const stops = [input, ...results.querySelectorAll("a")];
    const at = stops.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    stops[Math.min(Math.max(at + step, 0), stops.length - 1)].focus();
  }

  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = results.querySelector("a");
    if (first) first.click();
  });
  input.addEventListener("focus", load);
  input.addEventListener("input", () => { load(); show(); });
  form.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") move(event, 1);
    if (event.key === "ArrowUp") move(event, -1);
    if (event.key === "Escape") {
      close();
      input.blur();
    }
  });
  document.addEventListener("click", (event) => { if (!form.contains(event.target)) close(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !["INPUT", "TEXTAREA"].includes(document.activeElement.tagName)) {
      event.preventDefault();
      input.focus();
    }
  });

  // The zoom is kept on other pages and after a reload, unless the browser stores nothing.
  try {
    const zoom = document.getElementById(sessionStorage.getItem("zoom"));
    if (zoom) zoom.checked = true;
    for (const each of document.querySelectorAll(".zoom")) {
      each.addEventListener("change", () => sessionStorage.setItem("zoom", each.id));
    }
  } catch (error) {
    // Every page starts with a week.
  }

  const time = document.querySelector(".made time");
  const minutes = Math.floor((Date.now() - Date.parse(time.dateTime)) / 60000);
  const age = minutes < 120 ? minutes + " min" : minutes < 2880 ? Math.floor(minutes / 60) + " h" : Math.floor(minutes / 1440) + " days";
  if (minutes > 0) time.append(" (" + age + " ago)");

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
