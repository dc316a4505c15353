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

  // The second press of a double click would be refused, and its answer hide what the first began.
  const TWICE = 3000; // milliseconds
  let sent = { to: "", at: -TWICE };
  document.addEventListener("submit", (event) => {
    const now = { to: event.target.action, at: event.timeStamp };
    if (now.to === sent.to && now.at - sent.at < TWICE) event.preventDefault();
    else sent = now;
  });

  const events = new EventSource(page.dataset.events);

  // What is shown gets old when the server has stopped, or the login has ended: then say so.
  const PATIENCE = 5000; // milliseconds in which a server that is started again is there
  const silent = document.getElementById("silent");
  let waiting = 0;
  events.addEventListener("error", () => {
    if (waiting) return;
    const since = new Date();
    waiting = setTimeout(() => {
      const clock = since.toLocaleTimeString("en-GB", { timeZone: page.dataset.zone });
      silent.querySelector("time").textContent = `${clock} (${page.dataset.zone})`;
      silent.hidden = false;
    }, PATIENCE);
  });
  events.addEventListener("open", () => {
    clearTimeout(waiting);
    waiting = 0;
    silent.hidden = true;
  });

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
