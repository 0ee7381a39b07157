/** Keeps the end in view for those who are there, and nobody else's place is touched. */
import { byId, on } from "./dom.js";

const FAR = 160; // pixels above the end from which a way back is offered

let stuck = true;
let top = 0;
let watched = null;
const sizes = new ResizeObserver(follow);

const pane = () => byId("thread");
const distance = (box) => box.scrollHeight - box.clientHeight - box.scrollTop;

function follow() {
  const box = pane();
  if (!box) return;
  if (stuck) box.scrollTop = box.scrollHeight;
  offerWayBack(box);
}

function offerWayBack(box) {
  const button = document.querySelector("[data-latest]");
  if (button) button.hidden = stuck || distance(box) < FAR;
}

function scrolled() {
  const box = pane();
  if (distance(box) <= 4) stuck = true;
  else if (box.scrollTop < top) stuck = false;
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

export function startScrolling() {
  on("click", "[data-latest]", () => {
    toLatest();
    byId("composer-text")?.focus({ preventScroll: true });
  });
  watchThread();
}
