/** Reads finished sentences of a growing answer to those who listen, not every word. */
import { byId, element } from "./dom.js";

const EVERY = 2000;
const KEPT = 12;
const BLOCKS = "p, li, th, td, h1, h2, h3, h4, h5, h6, pre.plain, .code";
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
  told.set(body, wordsOf(body).length);
}

/** Its words with a line for each block; code is left to those who go there to read it. */
function wordsOf(body) {
  const walker = document.createTreeWalker(body, NodeFilter.SHOW_TEXT);
  let text = "";
  let block = null;
  while (walker.nextNode()) {
    const around = walker.currentNode.parentElement.closest(BLOCKS);
    if (around?.matches(".code")) continue;
    if (around !== block && text) text += "\n";
    block = around;
    text += walker.currentNode.data;
  }
  return text;
}

function announce(body, whole) {
  if (!body.isConnected) return;
  const text = wordsOf(body);
  const fresh = text.slice(told.get(body) ?? 0);
  const said = whole ? fresh : (SENTENCES.exec(fresh)?.[0] ?? "");
  if (!said.trim()) return;
  told.set(body, text.length - fresh.length + said.length);
  say(said.trim().replaceAll("\n", " "));
}

/** Reads out what those who see the page see by themselves. */
export function say(text) {
  const log = byId("announcer");
  log.append(element("p", {}, text));
  while (log.children.length > KEPT) log.firstChild.remove();
}
