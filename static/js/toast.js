/** Short news at the foot of the page, with at most one thing to do about it. */
import { byId, element } from "./dom.js";

const STAYS = 6000;

/** @param {{label: string, run?: () => void, href?: string}} [action] */
export function toast(text, action, stays = action ? STAYS + 2000 : STAYS) {
  const box = element("div", { class: "toast" }, element("span", {}, text));
  if (action?.href) box.append(element("a", { href: action.href }, action.label));
  else if (action) {
    const button = element("button", { type: "button" }, action.label);
    button.addEventListener("click", () => {
      box.remove();
      action.run();
    });
    box.append(button);
  }
  byId("toasts").append(box);
  fade(box, stays);
  return box;
}

/** Goes away after a while, but not while somebody is about to use it. */
function fade(box, stays) {
  if (stays === Infinity) return;
  setTimeout(() => {
    if (box.matches(":hover, :focus-within")) fade(box, 1500);
    else box.remove();
  }, stays);
}

export function startToasts() {
  for (const box of document.querySelectorAll("#toasts .toast")) fade(box, STAYS);
}
