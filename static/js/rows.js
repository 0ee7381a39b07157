/** The sidebar's rows: which is open, their groups, and what the socket says about them. */
import { byId, main, openConversation, parse } from "./dom.js";
import { groupName, showTimes } from "./times.js";
import { showTitle, showWindowTitle } from "./titles.js";
import { isReading, noteRead, readElsewhere } from "./unread.js";

/** Conversations that this very page is deleting. */
export const leaving = new Set();
/** Of which the socket has spoken since the list was last asked for: that is newer. */
export const heard = new Set();

export const rowOf = (conversation) => byId(`c-${conversation}`);

export function markRows() {
  const open = openConversation();
  const previous = byId("rows")?.dataset.older;
  let group = "";
  for (const item of document.querySelectorAll("#rows > .item")) {
    const link = item.querySelector(".row");
    if (open && item.dataset.conversation === open) link?.setAttribute("aria-current", "page");
    else link?.removeAttribute("aria-current");
    const unread = item.querySelector(".unread");
    if (unread && isReading(item.dataset.conversation)) {
      unread.remove();
      noteRead(true);
    }
    const name = groupName(new Date(item.dataset.at), previous);
    if (name === group) delete item.dataset.group;
    else item.dataset.group = name;
    group = name;
  }
  showWindowTitle();
}

/** Whether the list as it was chosen holds it; of a team's only the server knows. */
const fits = ({ role, labels }) =>
  ({ "": true, mine: role === "owner", shared: role !== "owner" })[byId("filter").value] ??
  labels?.includes(byId("filter").value);

/** Newest first. What is not there and older than all that is comes with its own page of the list.
 * @param {boolean} top whether it goes before all others
 * @param {boolean} [chosen] by the server, which knows of all what the list is to hold */
export function showRow(conversation, html, top, chosen) {
  const fresh = parse(html).querySelector(".item");
  const old = rowOf(conversation);
  if (!fresh || leaving.has(conversation) || old?.querySelector("input")) return;
  if (!old && !chosen && !fits(fresh.dataset)) return;
  const others = [...document.querySelectorAll("#rows > .item")].filter((item) => item !== old);
  const next = others.find(({ dataset }) => top || dataset.at < fresh.dataset.at) ?? document.querySelector("#rows > .more");
  if (!old && next?.matches(".more")) return;
  const focused = old?.contains(document.activeElement) ? document.activeElement.className : null;
  if (old?.nextElementSibling === next) old.replaceWith(fresh);
  else {
    byId("rows").insertBefore(fresh, next);
    old?.remove();
  }
  // The same for all who read it.
  fresh.querySelector(`[data-face="${document.body.dataset.user}"]`)?.remove();
  window.htmx.process(fresh);
  showTimes(fresh);
  if (conversation === openConversation() && !fresh.querySelector(".unread")) readElsewhere();
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

export function startRows() {
  document.addEventListener("htmx:afterSettle", (event) => {
    if (!event.target.closest?.("#rows") && main()) return;
    showTimes(byId("rows"));
    markRows();
  });
  markRows();
}
