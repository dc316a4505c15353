// Brings the live parts of the page anew, as the server sends them; shows the page again when it
// has become another one. Nothing here decides anything: without it the page works by reload.
"use strict";

(() => {
  const page = document.getElementById("page");
  if (!page || !window.EventSource) return;

  // A form that was refused keeps what was typed, and shows it by a POST: it is not loaded again.
  const typed = () =>
    document.getElementById("refused") ||
    [...document.querySelectorAll("input[type=text], textarea")].some((field) => field.value !== field.defaultValue) ||
    [...document.querySelectorAll("option")].some((one) => one.selected !== one.defaultSelected && one.value) ||
    (document.activeElement && document.activeElement.matches("input[type=text], input[type=radio], textarea, select"));

  const announce = () => {
    document.getElementById("news").hidden = false;
  };

  const events = new EventSource(page.dataset.events);

  events.addEventListener("state", (event) => {
    if (JSON.parse(event.data) === page.dataset.state) return;
    if (typed()) announce();
    else window.location.reload();
  });

  events.addEventListener("part", (event) => {
    const { id, html } = JSON.parse(event.data);
    const part = document.getElementById(id);
    if (!part || !("live" in part.dataset)) return;
    const label = part.contains(document.activeElement) ? document.activeElement.textContent.trim() : null;
    part.innerHTML = html;
    if (label === null) return;
    const again = [...part.querySelectorAll("button, a")].find((one) => one.textContent.trim() === label);
    if (again) again.focus();
  });

  window.addEventListener("pagehide", () => events.close());
})();
