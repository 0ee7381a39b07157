/** Keeps the end in view for those who are there, and nobody else's place is touched. */
import { byId, on } from "./dom.js";

const FAR = 160; // pixels above the end from which a way back is offered
const GESTURE = 700; // milliseconds in which a wheel, a finger or a key moves the view
const DRAG = 5000; // the same for a scrollbar that is held

let stuck = true;
let top = 0;
let byHand = 0; // until when a move is the reader's own
let watched = null;
const sizes = new ResizeObserver(follow);

const pane = () => byId("thread");
const distance = (box) => box.scrollHeight - box.clientHeight - box.scrollTop;

function follow() {
  const box = pane();
  if (!box) return;
  if (stuck) {
    box.scrollTop = box.scrollHeight;
    top = box.scrollTop;
  }
  offerWayBack(box);
}

function offerWayBack(box) {
  const button = document.querySelector("[data-latest]");
  if (button) button.hidden = stuck || distance(box) < FAR;
}

function scrolled() {
  const box = pane();
  const up = top - box.scrollTop;
  if (distance(box) <= 4) stuck = true;
  else if (up > 0) {
    // The browser too moves the view up, when the field below shrinks or a face arrives, and words
    // may come just then. A long way is a search or a screen reader.
    if (stuck && performance.now() > byHand && up < box.clientHeight / 2) return;
    stuck = false;
  }
  top = box.scrollTop;
  offerWayBack(box);
}

export const isAtEnd = () => stuck;

/** Brings what lies above into view, and lets the reader go on from there. */
export function showPlace(element) {
  const box = pane();
  const up = box.getBoundingClientRect().top - element.getBoundingClientRect().top;
  if (up <= 0) return;
  stuck = false;
  box.scrollTop -= up;
  top = box.scrollTop;
  offerWayBack(box);
}

export function toLatest() {
  stuck = true;
  follow();
}

/** Runs what changes the top of the list; what the reader looks at stays where it is. */
export function keepingPlace(change) {
  const box = pane();
  const height = box.scrollHeight;
  change();
  if (!stuck) box.scrollTop += box.scrollHeight - height;
  top = box.scrollTop;
}

export function watchThread() {
  const box = pane();
  if (!box || box === watched) return;
  watched = box;
  sizes.disconnect();
  sizes.observe(box);
  const list = byId("messages");
  box.addEventListener("scroll", scrolled, { passive: true });
  stuck = Boolean(list); // a page without messages is read from its top
  if (!list) return;
  sizes.observe(list);
  toLatest();
}

function noteHands() {
  const lasts = (time) => () => {
    byHand = performance.now() + time;
  };
  on("wheel", "#thread", lasts(GESTURE), { passive: true });
  on("touchmove", "#thread", lasts(GESTURE), { passive: true });
  on("pointerdown", "#thread", lasts(DRAG));
  on("keydown", "body", (event) => {
    if (event.key === "Tab" || !event.target.matches("input, textarea")) lasts(GESTURE)();
  });
}

export function startScrolling() {
  noteHands();
  on("click", "[data-latest]", () => {
    toLatest();
    byId("composer-text")?.focus({ preventScroll: true });
  });
  watchThread();
}
