/** Growing answers: frames in order, keyframes when one is missing, and where the caret stands. */
import { announceSoon } from "./announce.js";
import {
  articleOf,
  bodyOf,
  liveArticles,
  placeArticles,
  settleArticle,
  showText,
} from "./articles.js";
import { dressCode } from "./code.js";
import { byId, element, openConversation, parse, word } from "./dom.js";
import { applyPatch, lastElement } from "./patch.js";
import { showQueue } from "./queue.js";
import { noteTold, poll, sync } from "./sync.js";
import { showTimes } from "./times.js";

const shown = new Map(); // generation → number of the last frame that is in the page
let asked = false;
let send = () => {};

/** @param {(message: object) => void} sender for what goes to the server */
export function startLive(sender) {
  send = sender;
}

/** Another conversation, or another socket: what was shown says nothing any more. */
export function forgetFrames() {
  shown.clear();
  noteTold(0);
  asked = false;
}

function askForKeys() {
  if (asked) return;
  asked = true;
  send({ t: "keys" });
}

/** The article, if it is still the one that this generation writes. */
function written({ g, m }) {
  const article = articleOf(m);
  if (article?.dataset.generation === g) return article;
  if (!article) sync();
  return null;
}

function moveCaret(article, body) {
  const last = lastElement(body);
  const place = last === body && !body.firstChild ? null : last;
  const old = article.querySelector("[data-caret]");
  if (old === place) return;
  old?.removeAttribute("data-caret");
  place?.setAttribute("data-caret", "");
}

/** The words say it themselves, whatever the state line said before. */
function showPhase(article, phrase) {
  showProgress(article, word(phrase));
}

function grew(article, body) {
  if (body.firstChild) showPhase(article, "writing");
  else if (article.querySelector("[data-reasoning]:not([hidden])")) showPhase(article, "thinking");
  dressCode(body);
  moveCaret(article, body);
  // Of several that grow side by side one is read out.
  if (!article.matches(".draft:not(.leads)")) announceSoon(body);
}

function showReasoning(article, text, whole) {
  const box = article.querySelector("[data-reasoning]");
  if (!box || (!text && !whole)) return;
  const place = box.querySelector(".reasoning-text");
  if (whole) place.textContent = text;
  else place.append(text);
  place.normalize();
  box.hidden = !place.textContent;
}

function showProgress(article, html) {
  const place = article.querySelector("[data-progress]");
  if (!place || place.innerHTML === html) return;
  place.innerHTML = html;
  showTimes(place);
}

const known = () => Number(byId("messages").dataset.revision);

function seen(revision) {
  noteTold(revision);
  if (revision > known() + 1) sync();
  else if (revision > known()) byId("messages").dataset.revision = revision;
}

const here = (message) => message.c === openConversation() && byId("messages");
/** What comes late was fetched meanwhile, and more may have happened since. */
const isNews = (message) => here(message) && message.rev > known();

/** What the socket says about the open thread, by the message's kind. */
export const threadMessages = {
  watching(message) {
    if (here(message) && known() !== message.rev) sync();
  },
  key(message) {
    asked = false;
    const article = written(message);
    if (!article) return;
    shown.set(message.g, message.n);
    const body = bodyOf(article);
    showText(body, element("div", {}, parse(message.html)));
    showReasoning(article, message.r ?? "", true);
    if (message.s) showProgress(article, message.s);
    grew(article, body);
  },
  frame(message) {
    const article = written(message);
    if (!article) return;
    if (message.n !== (shown.get(message.g) ?? 0) + 1) {
      if (message.n > (shown.get(message.g) ?? 0)) askForKeys();
      return;
    }
    const body = bodyOf(article);
    if (message.p && !applyPatch(body, message.p)) {
      askForKeys();
      return;
    }
    shown.set(message.g, message.n);
    showReasoning(article, message.r, false);
    grew(article, body);
  },
  progress(message) {
    const article = written(message);
    if (article) showProgress(article, message.html);
  },
  added(message) {
    if (!isNews(message)) return;
    placeArticles(message.html);
    seen(message.rev);
  },
  settled(message) {
    if (!isNews(message)) return;
    if (!settleArticle(message.m, message.html)) sync();
    else seen(message.rev);
  },
  queue(message) {
    if (!here(message)) return;
    showQueue(message.html);
    seen(message.rev);
  },
  changed(message) {
    if (here(message)) sync();
  },
  silent(message) {
    if (here(message)) poll();
  },
  tick(message) {
    if (message.g) {
      const open = [...liveArticles()].some((article) => article.dataset.generation === message.g);
      if (open && message.n !== (shown.get(message.g) ?? 0)) askForKeys();
    } else if (here(message) && known() !== message.rev) sync();
  },
};
