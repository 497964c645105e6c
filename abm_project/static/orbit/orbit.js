// "/" goes to the search box; in a table of rows, up, down (or k, j), Home and End move and Enter opens.
(() => {
  "use strict";
  const typing = (element) => element.closest("input, select, textarea, [contenteditable]");
  const rows = () => [...document.querySelectorAll("table[data-rows] tbody th a")];

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const search = document.getElementById("search");
    if (event.key === "Escape" && event.target === search) search.blur();
    if (typing(event.target)) return;
    if (event.key === "/" && search) {
      event.preventDefault();
      search.focus();
      search.select();
      return;
    }
    const links = rows();
    if (!links.length) return;
    const here = links.indexOf(event.target.closest("tr")?.querySelector("th a"));
    const last = links.length - 1;
    const target = {
      ArrowDown: Math.min(here + 1, last),
      j: Math.min(here + 1, last),
      ArrowUp: Math.max(here - 1, 0),
      k: Math.max(here - 1, 0),
      Home: here < 0 ? -1 : 0,
      End: here < 0 ? -1 : last,
    }[event.key];
    if (target === undefined || target < 0) return;
    event.preventDefault();
    links[target].focus();
  });

  // On a phone the picture is wider than the screen: begin with the newest day.
  for (const chart of document.querySelectorAll(".chart")) chart.scrollLeft = chart.scrollWidth;

  // The login after a session's end answers any fragment: load the page anew, and be asked there.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (new URL(event.detail.xhr.responseURL).pathname !== "/login") return;
    event.detail.shouldSwap = false;
    window.location.reload();
  });

  // What had the focus may be gone with the old part: stay where it was, not at the top of the page.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (document.activeElement !== document.body) return;
    document.getElementById(event.detail.target.id)?.closest("[tabindex='-1']")?.focus({ preventScroll: true });
  });

  // A menu closes when something else is pressed, and with Escape.
  const close = (menu) => menu.removeAttribute("open");
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) close(menu);
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && event.target.closest?.("details.menu[open]");
    if (!menu) return;
    close(menu);
    menu.querySelector("summary").focus();
  });

  // A click anywhere in a row opens it; a link, a selection or a modifier key keeps its own meaning.
  document.addEventListener("click", (event) => {
    const row = event.target.closest("table[data-rows] tbody tr");
    if (!row || event.target.closest("a, button") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (String(window.getSelection())) return;
    row.querySelector("th a").click();
  });
})();
