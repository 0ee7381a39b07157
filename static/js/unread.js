/** What the reader has seen: where the unread begins, and word of it to the server. */
import { byId, main, openConversation } from "./dom.js";
import { isAtEnd, showPlace } from "./scroll.js";

const SOON = 600; // one has looked, and several messages make one word
const SPREAD = 1500; // all who read along would say it at once

let since = 0; // the revision after which the unread begins
let readUpTo = 0; // up to which this page has told that all is seen
let waiting = 0;
let tellRead = () => {};

const revision = () => Number(byId("messages")?.dataset.revision ?? 0);
const said = () => [...document.querySelectorAll("#messages .said")];
/** A message may stand here a moment before its revision is known. */
const newest = () =>
  Math.max(revision(), ...said().map(({ dataset }) => Number(dataset.news)));
const reads = () => !document.hidden && isAtEnd();

/** The reader is at the end of this conversation, and looks. */
export const isReading = (conversation) => conversation === openConversation() && reads();

function firstAfter(known) {
  const { user } = document.body.dataset;
  return said().find(
    ({ dataset }) => Number(dataset.news) > known && dataset.author !== user,
  );
}

function markFirst() {
  const first = firstAfter(since);
  for (const old of document.querySelectorAll("[data-unread]"))
    if (old !== first) delete old.dataset.unread;
  if (first) first.dataset.unread = byId("messages").dataset.line;
}

/** A reload may come before the server has put away what it was told. */
function remember() {
  try {
    sessionStorage.setItem("read", `${openConversation()} ${readUpTo}`);
  } catch {
    // Storage is full or forbidden: the line shows again.
  }
}

function remembered() {
  try {
    const [conversation, revision] = sessionStorage.getItem("read").split(" ");
    return conversation === openConversation() ? Number(revision) : 0;
  } catch {
    return 0;
  }
}

/** Messages have come or changed. */
export function markUnread() {
  if (!byId("messages")) return;
  if (!reads()) since = Math.max(since, readUpTo);
  else if (!document.querySelector("[data-unread]")) since = newest();
  markFirst();
  noteRead();
}

/** Once the reader is at the end, the server hears of it; `due` also where nothing new stands here:
 * on a branch that somebody has left meanwhile. */
export function noteRead(due = firstAfter(readUpTo)) {
  if (!waiting && byId("messages") && reads() && due)
    waiting = setTimeout(() => {
      waiting = 0;
      if (!byId("messages") || !reads() || revision() <= readUpTo) return;
      readUpTo = revision();
      tellRead({ t: "read", n: readUpTo });
      remember();
    }, SOON + Math.random() * SPREAD);
}

/** Another page of the same person has shown it all. */
export function readElsewhere() {
  if (!byId("messages") || reads()) return;
  since = readUpTo = newest();
  markFirst();
}

/** A conversation has been opened: the reader begins where the unread does. */
export function openUnread() {
  readUpTo = Number(main()?.dataset.read ?? 0);
  since = Math.max(readUpTo, remembered());
  if (!byId("messages")) return;
  markFirst();
  const first = document.querySelector("[data-unread]");
  if (first) showPlace(first);
  noteRead();
}

/** @param {(message: object) => void} sender for what goes to the server */
export function startUnread(sender) {
  tellRead = sender;
  document.addEventListener("visibilitychange", () => noteRead());
  document.addEventListener("scroll", () => noteRead(), { capture: true, passive: true });
}

/** The socket is back: what was told last may have been lost. */
export function repeatRead() {
  if (readUpTo > Number(main()?.dataset.read ?? 0)) tellRead({ t: "read", n: readUpTo });
}
