/** The sidebar's rows: which is open, their groups, and what the socket says about them. */
import { byId, main, openConversation, parse, request } from "./dom.js";
import { groupName, showTimes } from "./times.js";
import { showTitle } from "./titles.js";

/** Conversations that this very page is deleting. */
export const leaving = new Set();

export const rowOf = (conversation) => byId(`c-${conversation}`);

export function markRows() {
  const open = openConversation();
  const previous = byId("rows")?.dataset.older;
  let group = "";
  for (const item of document.querySelectorAll("#rows > .item")) {
    const link = item.querySelector(".row");
    if (open && item.dataset.conversation === open) link?.setAttribute("aria-current", "page");
    else link?.removeAttribute("aria-current");
    const name = groupName(new Date(item.dataset.at), previous);
    if (name === group) delete item.dataset.group;
    else item.dataset.group = name;
    group = name;
  }
}

export function showRow(conversation, html, top) {
  const fresh = parse(html).querySelector(".item");
  const old = rowOf(conversation);
  if (!fresh || leaving.has(conversation) || old?.querySelector("input")) return;
  const focused = old?.contains(document.activeElement) ? document.activeElement.className : null;
  const first = byId("rows").firstElementChild;
  if (old && (!top || old === first)) old.replaceWith(fresh);
  else {
    byId("rows").insertBefore(fresh, first);
    old?.remove();
  }
  window.htmx.process(fresh);
  showTimes(fresh);
  markRows();
  if (focused) fresh.getElementsByClassName(focused)[0]?.focus({ preventScroll: true });
  showTitle(conversation, fresh.querySelector(".row-title").textContent);
}

/** @returns {boolean} true if it was this page that deleted it */
export function removeRow(conversation) {
  if (leaving.has(conversation)) return true;
  rowOf(conversation)?.remove();
  markRows();
  return false;
}

/** The newest rows from the table: those that are gone leave, the others stand as they do there. */
export async function refreshRows() {
  const list = byId("rows");
  let page;
  try {
    page = parse(await (await request(list.dataset.url)).text());
  } catch {
    return; // not reached: the next return tries again
  }
  const fresh = [...page.querySelectorAll(".item")];
  const there = new Set(fresh.map((item) => item.dataset.conversation));
  const last = page.querySelector(".more") && fresh.at(-1).dataset.at;
  for (const { dataset } of [...list.querySelectorAll(".item")])
    if (!there.has(dataset.conversation) && !(dataset.at < last)) removeRow(dataset.conversation);
  for (const item of fresh.reverse()) showRow(item.dataset.conversation, item.outerHTML, true);
}

export function startRows() {
  document.addEventListener("htmx:afterSettle", (event) => {
    if (!event.target.closest?.("#rows") && main()) return;
    showTimes(byId("rows"));
    markRows();
  });
  markRows();
}
