/** The turns that wait: shown as the server tells them, with what this reader may do to them. */
import { say } from "./announce.js";
import { byId, parse } from "./dom.js";

/** Which of them are the reader's own. */
export function adoptQueue() {
  for (const turn of document.querySelectorAll(".turn"))
    turn.toggleAttribute("data-mine", turn.dataset.author === document.body.dataset.user);
}

/** @param {Element | null} fresh a newer state, or one that was overtaken on its way */
export function placeQueue(fresh) {
  const old = byId("queue");
  if (!old || !fresh || Number(fresh.dataset.revision) < Number(old.dataset.revision)) return;
  const had = old.contains(document.activeElement) ? document.activeElement : null;
  const turn = had?.closest(".turn");
  const title = (queue) => [...queue.querySelectorAll("h2")].map((h2) => h2.textContent).join(", ");
  if (!fresh.hidden && title(fresh) !== title(old)) say(title(fresh));
  old.replaceWith(fresh);
  adoptQueue();
  window.htmx.process(fresh);
  if (!had) return;
  // The same button, another one of the same turn, or where one writes.
  const next = [byId(had.id), ...(byId(turn?.id)?.querySelectorAll("button") ?? []), byId("composer-text")];
  next.find((control) => {
    control?.focus({ preventScroll: true });
    return control && control === document.activeElement;
  });
}

export function showQueue(html) {
  placeQueue(parse(html).querySelector("#queue"));
}
