/** The sidebar: a drawer on narrow screens, folded away and remembered on wide ones. */
import { byId, on } from "./dom.js";
import { labels, mute, remove, rename } from "./rowactions.js";
import { rowOf } from "./rows.js";

const root = document.documentElement;
const narrow = matchMedia("(max-width: 800px), (max-width: 960px) and (max-height: 480px)");

function setDrawer(open) {
  if (open === "drawer" in root.dataset) return;
  if (open) root.dataset.drawer = "";
  else delete root.dataset.drawer;
  byId("pane").inert = open;
  if (open) byId("rail").querySelector("a, button").focus({ preventScroll: true });
  else document.querySelector("[data-drawer=open]")?.focus({ preventScroll: true });
}

function setRail(open) {
  if (open) delete root.dataset.rail;
  else root.dataset.rail = "closed";
  try {
    localStorage.setItem("rail", open ? "open" : "closed");
  } catch {
    // Storage is forbidden: it holds for this page.
  }
  const next = open ? "[data-rail=toggle]" : "[data-drawer=open]";
  document.querySelector(`button${next}`)?.focus({ preventScroll: true });
}

const ACTIONS = { rename, mute, labels, remove };
const KEYS = { F2: "rename", Delete: "remove" };
const MAY = { rename: ["owner", "editor"], remove: ["owner"] };

function startRowMenu() {
  let conversation = "";
  on("click", "[data-row-menu]", (_event, button) => {
    const { dataset } = button.closest(".item");
    conversation = dataset.conversation;
    byId("row-menu").toggleAttribute("data-muted", "muted" in dataset);
  });
  on("click", "[data-row-action]", (_event, button) => {
    byId("row-menu").hidePopover();
    ACTIONS[button.dataset.rowAction](rowOf(conversation));
  });
  on("keydown", ".row", (event, row) => {
    const item = row.closest(".item");
    const action = KEYS[event.key];
    if (MAY[action]?.includes(item.dataset.role)) ACTIONS[action](item);
  });
}

export function closeDrawer() {
  setDrawer(false);
}

export function startSidebar() {
  startRowMenu();
  on("click", "button[data-drawer=open]", () => (narrow.matches ? setDrawer(true) : setRail(true)));
  on("click", "button[data-drawer=close]", closeDrawer);
  on("click", "button[data-rail=toggle]", () => (narrow.matches ? closeDrawer() : setRail(false)));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.querySelector(":popover-open")) return;
    if ("drawer" in root.dataset) closeDrawer();
    else byId("composer-text")?.focus();
  });
  narrow.addEventListener("change", closeDrawer);
}
