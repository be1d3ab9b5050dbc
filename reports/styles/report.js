// Filter, search and copy. Without it the report reads just as well: everything is in the page.
(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");
  const buttons = all("[data-filter]");
  const rows = all("[data-outcome]").map((row) => ({ row, text: row.textContent.toLowerCase() }));
  const groups = all(".group");
  const openBefore = new Map();
  let outcome = "";

  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const active = Boolean(outcome || words.length);
    let count = 0;
    for (const { row, text } of rows) {
      const match = (!outcome || row.dataset.outcome === outcome) && words.every((word) => text.includes(word));
      row.hidden = !match;
      count += match;
    }
    for (const group of groups) {
      if (active && !openBefore.has(group)) openBefore.set(group, group.open);
      if (active) group.open = true;
      else if (openBefore.has(group)) group.open = openBefore.get(group);
    }
    if (!active) openBefore.clear();
    for (const part of all(".group, .suite")) {
      part.hidden = active && all("[data-outcome]", part).every((row) => row.hidden);
    }
    for (const part of all(".unfiltered")) part.hidden = active;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.filter === outcome));
    shown.textContent = active ? `${count} of ${rows.length} requirements shown. Esc shows all.` : "";
  };

  const clear = () => {
    outcome = search.value = "";
    apply();
  };

  const copy = async (button) => {
    const text = button.dataset.copy || button.previousElementSibling.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };

  // A link to a requirement must reach it inside whatever is folded or filtered away.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) clear();
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  };

  for (const button of buttons) {
    button.disabled = false;
    button.addEventListener("click", () => {
      outcome = button.dataset.filter === outcome ? "" : button.dataset.filter;
      apply();
    });
  }
  for (const button of all(".copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
  search.parentElement.hidden = false;
  search.addEventListener("input", apply);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && event.target !== search && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "Escape") {
      clear();
      search.blur();
    }
  });
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => {
    for (const row of all("#attention ~ .requirement")) row.open = true;
  });
  reveal();
})();
