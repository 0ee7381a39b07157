/** Who is here, who is typing; and what the others see of this page. */
import { say } from "./announce.js";
import { byId, on, openConversation } from "./dom.js";

const TELL_EVERY = 2500;
const SAY_EVERY = 30_000;

let report = () => {};
let present = [];
let typedAt = -Infinity; // when the others heard that somebody types here
let saidAt = -Infinity;

/** A hidden tab is not here. */
export function tellLook() {
  report({ t: "look", on: !document.hidden });
}

function tellTyping(goes) {
  const now = performance.now();
  if (!openConversation() || (goes ? now - typedAt < TELL_EVERY : typedAt < 0)) return;
  typedAt = goes ? now : -Infinity;
  report({ t: "typing", on: goes });
}

/** Those who listen hear that something begins, now and then; not who joins in or stops. */
export function showTyping(text) {
  const line = byId("typing");
  if (!line || line.textContent === text) return;
  const now = performance.now();
  if (text && !line.textContent && now - saidAt > SAY_EVERY) {
    saidAt = now;
    say(text);
  }
  line.textContent = text;
}

function markPresent() {
  for (const face of document.querySelectorAll("[data-person]"))
    face.classList.toggle("is-here", present.includes(face.dataset.person));
}

export const presenceMessages = {
  here({ c, p, html }) {
    if (c !== openConversation()) return;
    byId("here").innerHTML = html;
    present = p;
    markPresent();
  },
  typing({ c, text }) {
    if (c === openConversation()) showTyping(text);
  },
};

/** @param {(message: object) => void} sender for what goes to the server */
export function startPresence(sender) {
  report = sender;
  document.addEventListener("visibilitychange", tellLook);
  document.addEventListener("htmx:afterSettle", markPresent); // the list of those who take part
  on("input", "#composer-text", (_event, field) => tellTyping(Boolean(field.value.trim())));
  on("submit", "#composer", () => tellTyping(false));
}
