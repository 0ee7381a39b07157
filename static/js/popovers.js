/** Menus and sheets: opened by the browser's own popover, put beside what opened them. */
import { byId, element, on } from "./dom.js";

const GAP = 6;
const EDGE = 12;

let opener = null;
// Pressing anywhere closes a popover; a press on the button that opened it is meant to do just that.
let pressedToClose = false;

function openerOf(popover) {
  return document.querySelector(`[popovertarget="${popover.id}"]`) ?? opener;
}

function place(popover) {
  const button = openerOf(popover);
  if (!button) return;
  const from = button.getBoundingClientRect();
  // What opens above its button scrolls rather than covers it.
  if (popover.dataset.anchor === "above") popover.style.setProperty("--room", `${from.top - GAP - EDGE}px`);
  const { width, height } = popover.getBoundingClientRect();
  const left = Math.min(Math.max(from.left, EDGE), innerWidth - width - EDGE);
  const above = from.top - GAP - height;
  const below = from.bottom + GAP;
  const fitsBelow = below + height < innerHeight - EDGE;
  const wantsAbove = popover.dataset.anchor === "above" || !fitsBelow;
  popover.style.left = `${left}px`;
  popover.style.top = `${wantsAbove && above >= EDGE - 1 ? above : Math.max(EDGE, Math.min(below, innerHeight - height - EDGE))}px`;
}

/** The row's menu is one element for all rows: it opens where it was asked for. */
function toggleRowMenu(button) {
  opener = button;
  byId("row-menu").dataset.role = button.closest(".item").dataset.role;
  if (!pressedToClose) byId("row-menu").showPopover();
  pressedToClose = false;
}

function shownIn(popover) {
  const choices = [...popover.querySelectorAll("a, button:enabled, [role=option]")];
  return choices.filter((choice) => choice.getClientRects().length);
}

function step(popover, by) {
  const choices = shownIn(popover);
  const at = choices.indexOf(document.activeElement);
  choices.at(by === Infinity ? -1 : by === -Infinity ? 0 : (at + by) % choices.length)?.focus();
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

export function startPopovers() {
  document.addEventListener(
    "beforetoggle",
    (event) => {
      const popover = event.target;
      const opens = event.newState === "open";
      openerOf(popover)?.setAttribute("aria-expanded", String(opens));
      if (opens && popover.dataset.anchor) requestAnimationFrame(() => place(popover));
      // What only it needs; a browser runs a module once, however often it is asked to.
      const src = opens && popover.dataset.script;
      if (src) document.head.append(element("script", { type: "module", src }));
    },
    true,
  );
  document.addEventListener(
    "toggle",
    (event) => {
      const popover = event.target;
      if (event.newState !== "open" || !popover.matches(".menu-list, .models")) return;
      const first = popover.querySelector("[aria-selected=true]") ?? shownIn(popover)[0];
      first?.focus({ preventScroll: true });
    },
    true,
  );
  // The menu has done its part: what it opens stands alone and gives the focus back to its button.
  on("click", "[data-keys]", () => byId("me").hidePopover());
  on("keydown", ".menu-list, .models", (event, popover) => {
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    step(popover, STEPS[event.key]);
  });
  const noteOpen = (_event, button) => {
    pressedToClose = opener === button && byId("row-menu").matches(":popover-open");
  };
  on("pointerdown", "[data-row-menu]", noteOpen, { capture: true });
  on("click", "[data-row-menu]", (_event, button) => toggleRowMenu(button));
  on("focusout", "#row-menu", (event, menu) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.hidePopover();
  });
  const placeOpen = () => {
    const open = document.querySelector(":popover-open[data-anchor]");
    if (open) place(open);
  };
  addEventListener("resize", placeOpen);
  document.addEventListener("htmx:afterSwap", placeOpen);
  // A refused field that nobody sees would stop the form without a word.
  document.addEventListener(
    "invalid",
    (event) => {
      const popover = event.target.closest("[popover]");
      if (popover && !popover.matches(":popover-open")) popover.showPopover();
    },
    true,
  );
}
