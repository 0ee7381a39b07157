/** Reads finished sentences of a growing answer to those who listen, not every word. */
import { byId } from "./dom.js";

const EVERY = 2000;
const KEPT = 12;
const SENTENCES = /^[\s\S]*(?:[.!?…:](?=\s)|\n)/;

const told = new WeakMap(); // answer body → characters that were read out
let timer = 0;

/** Call when words have arrived; at most one announcement in two seconds comes of it. */
export function announceSoon(body) {
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    announce(body, false);
  }, EVERY);
}

export function announceRest(body) {
  announce(body, true);
}

/** What is there when one opens the page has not just been said. */
export function skipAnnouncing(body) {
  told.set(body, body.textContent.length);
}

function announce(body, whole) {
  if (!body.isConnected) return;
  const text = body.textContent;
  const fresh = text.slice(told.get(body) ?? 0);
  const said = whole ? fresh : (SENTENCES.exec(fresh)?.[0] ?? "");
  if (!said.trim()) return;
  told.set(body, text.length - fresh.length + said.length);
  const line = document.createElement("p");
  line.textContent = said.trim();
  const log = byId("announcer");
  log.append(line);
  while (log.children.length > KEPT) log.firstChild.remove();
}
