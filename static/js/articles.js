/** Puts messages in their place by id, and leaves alone what has not changed. */
import { announceRest, skipAnnouncing } from "./announce.js";
import { dressCode } from "./code.js";
import { byId, parse } from "./dom.js";
import { keepingPlace } from "./scroll.js";
import { dayName, showTimes } from "./times.js";
import { markUnread } from "./unread.js";

export const bodyOf = (article) => article.querySelector(":scope > .text");
export const articleOf = (message) => byId(`m-${message}`);
export const liveArticles = () => document.querySelectorAll("#messages [data-live]");

const listed = (root) => [...root.children].filter((child) => child.matches("article"));

/** Messages that were added or changed, oldest first, as HTML. What a request brings may be older
 * than what the socket has brought meanwhile: then `mayBeOld` is true. */
export function placeArticles(html, mayBeOld) {
  const list = byId("messages");
  if (!list) return;
  for (const fresh of listed(parse(html))) {
    const old = byId(fresh.id);
    if (!old) insert(list, fresh, null);
    else if (!mayBeOld && old.dataset.version !== fresh.dataset.version) morph(old, fresh);
  }
  markDays();
}

export function settleArticle(message, html) {
  const old = articleOf(message);
  const fresh = listed(parse(html))[0];
  if (!old || !fresh) return false;
  morph(old, fresh);
  announceRest(bodyOf(old));
  markDays();
  return true;
}

/** Makes the thread equal to `fresh`, the newest page of it; older pages stay where they follow on.
 * A growing text is left to its frames, unless none come: then `withGrowing` is true. */
export function mergeThread(fresh, withGrowing) {
  const list = byId("messages");
  const oldest = fresh.querySelector("article")?.id;
  const first = listed(list).find(({ id }) => id === oldest); // it may have stood beside others
  const keepsOlder = listed(list).indexOf(first) > 0;
  keepingFocus(list, () => merge(list, fresh, first, withGrowing));
  if (!keepsOlder) list.dataset.older = fresh.dataset.older;
  markDays();
}

/** The same for the articles of any list, from `cursor` on. */
function merge(list, fresh, cursor, withGrowing) {
  cursor ??= list.firstElementChild;
  for (const next of listed(fresh)) {
    const old = byId(next.id);
    if (!old) insert(list, next, cursor);
    else {
      if (old === cursor) cursor = cursor.nextElementSibling;
      else list.insertBefore(old, cursor);
      if (next.matches(".drafts")) merge(old, next, null, withGrowing);
      else if (old.dataset.version !== next.dataset.version) morph(old, next);
      else if (withGrowing && "live" in next.dataset) showGrown(old, next);
    }
  }
  while (cursor) {
    const gone = cursor;
    cursor = cursor.nextElementSibling;
    gone.remove();
  }
}

/** A page of older messages, put before the others. */
export function prependArticles(page) {
  const list = byId("messages");
  keepingPlace(() => {
    const before = list.firstElementChild;
    for (const article of listed(page)) if (!byId(article.id)) insert(list, article, before);
    list.dataset.older = page.dataset.older;
    markDays();
  });
}

/** What has come with the page itself. */
export function adoptArticles() {
  const list = byId("messages");
  if (!list) return;
  dressCode(list);
  for (const article of listed(list)) markOwn(article);
  for (const article of liveArticles()) skipAnnouncing(bodyOf(article));
  markDays();
}

function insert(list, article, before) {
  list.insertBefore(article, before);
  dressCode(article);
  markOwn(article);
  showTimes(article);
  window.htmx?.process(article);
}

/** Makes a text equal to another one. Blocks that are the same are not touched, so what somebody
 * selected there stays selected. */
export function showText(body, next) {
  body.querySelector("[data-caret]")?.removeAttribute("data-caret");
  body.removeAttribute("data-caret");
  body.normalize();
  dressCode(next);
  const old = [...body.childNodes];
  const fresh = [...next.childNodes];
  fresh.forEach((node, at) => {
    if (!old[at]) body.append(node);
    else if (!old[at].isEqualNode(node)) old[at].replaceWith(node);
  });
  for (const node of old.slice(fresh.length)) node.remove();
}

/** The old article takes over everything of the fresh one. */
function morph(old, fresh) {
  const kept = bodyOf(old);
  const next = bodyOf(fresh);
  const grows = "live" in fresh.dataset && fresh.dataset.generation === old.dataset.generation;
  keepingFocus(old, () => {
    for (const name of old.getAttributeNames()) {
      if (!fresh.hasAttribute(name) && !/^data-(day|unread)$/.test(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) old.setAttribute(name, value);
    if (!grows) showText(kept, next);
    else if (kept.firstChild) keepProgress(old, fresh);
    keepOpen(old, fresh);
    const gone = [...old.children].filter((child) => child !== kept);
    const parts = [...fresh.children];
    const middle = parts.indexOf(next);
    kept.before(...parts.slice(0, middle));
    kept.after(...parts.slice(middle + 1));
    // Last: where the focus goes with them the view would be shorter for a moment, and scroll up.
    for (const child of gone) child.remove();
  });
  markOwn(old);
  showTimes(old);
  window.htmx?.process(old);
}

/** The words that grow here are further than the table, and what is said of them. */
function keepProgress(old, fresh) {
  const [was, is] = [old, fresh].map((article) => article.querySelector("[data-progress]"));
  if (was) is?.replaceChildren(...was.childNodes);
}

/** An article is the same for all who see it; what only its author may do is shown by this. */
function markOwn(article) {
  const { user } = document.body.dataset;
  article.classList.toggle("own", article.dataset.author === user);
  for (const vote of article.querySelectorAll("[data-voters]"))
    vote.checked = vote.dataset.voters.includes(user);
}

function showGrown(old, fresh) {
  const [kept, next] = [bodyOf(old), bodyOf(fresh)];
  showText(kept, next);
  old.querySelector("[data-progress]")?.replaceWith(fresh.querySelector("[data-progress]"));
  keepOpen(old, fresh);
  old.querySelector(":scope > details")?.replaceWith(fresh.querySelector(":scope > details"));
  showTimes(old);
}

function keepOpen(old, fresh) {
  const before = old.querySelector(":scope > details");
  const after = fresh.querySelector(":scope > details");
  if (!before || !after) return;
  after.open = before.open;
  if ("live" in fresh.dataset && !after.querySelector("div").textContent) {
    after.querySelector("div").textContent = before.querySelector("div").textContent;
    after.hidden = before.hidden;
  }
}

/** A control that was replaced gives the focus to its successor, or to the thread. */
function keepingFocus(root, change) {
  const had = document.activeElement;
  const inside = root.contains(had) && had !== root;
  const label = inside ? had.getAttribute("aria-label") || had.textContent.trim() : "";
  const switches = inside && had.closest(".switcher");
  const at = inside ? listed(root).findIndex((article) => article.contains(had)) : -1;
  change();
  if (!inside || document.activeElement === had) return;
  const home = listed(root)[at] ?? root;
  const next = [...home.querySelectorAll("a, button:enabled, summary, input")].find(
    (control) => (control.getAttribute("aria-label") || control.textContent.trim()) === label,
  );
  const other = switches && home.querySelector(".switcher button:enabled");
  (next ?? other ?? byId("composer-text") ?? byId("thread"))?.focus({ preventScroll: true });
}

/** Where a new day begins, in the reader's calendar. */
function markDays() {
  let day = "";
  for (const article of listed(byId("messages"))) {
    const name = dayName(new Date(article.dataset.at));
    if (name === day) delete article.dataset.day;
    else if (article.dataset.day !== name) article.dataset.day = name;
    day = name;
  }
  markUnread();
}
