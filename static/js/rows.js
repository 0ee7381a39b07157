/** The sidebar's rows: who is current, their groups, and rename and delete with a way back. */
import { byId, element, main, on, openConversation, parse, request, word } from "./dom.js";
import { openNew } from "./leaving.js";
import { groupName, showTimes } from "./times.js";
import { showTitle } from "./titles.js";
import { toast } from "./toast.js";

const leaving = new Set(); // conversations that this very page is deleting
let menuFor = null;

const rowOf = (conversation) => byId(`c-${conversation}`);
const items = () => document.querySelectorAll("#rows > .item");

export function markRows() {
  const open = openConversation();
  const previous = byId("rows")?.dataset.older;
  let group = "";
  for (const item of items()) {
    const link = item.querySelector(".row");
    if (item.dataset.conversation === open && open) link?.setAttribute("aria-current", "page");
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
  const focused = old?.contains(document.activeElement)
    ? document.activeElement.className
    : undefined;
  const first = byId("rows").querySelector(".item");
  if (old && (!top || old === first)) old.replaceWith(fresh);
  else {
    old?.remove();
    byId("rows").insertBefore(fresh, byId("rows").firstElementChild);
  }
  window.htmx.process(fresh);
  showTimes(fresh);
  markRows();
  if (focused !== undefined) fresh.getElementsByClassName(focused)[0]?.focus({ preventScroll: true });
  showTitle(conversation, fresh.querySelector(".row-title").textContent);
}

/** @returns {boolean} true if it was this page that deleted it */
export function removeRow(conversation) {
  if (leaving.has(conversation)) return true;
  rowOf(conversation)?.remove();
  markRows();
  return false;
}

async function remove(item) {
  const { conversation, deletionUrl } = item.dataset;
  leaving.add(conversation);
  const response = await request(deletionUrl, { method: "POST" }).catch(() => null);
  if (!response?.ok) {
    leaving.delete(conversation);
    toast(word("failed"));
    return;
  }
  const wasOpen = conversation === openConversation();
  const next = item.nextElementSibling;
  const focus = next?.querySelector(".row") ?? document.querySelector("[data-new-conversation]");
  item.remove();
  markRows();
  if (wasOpen) openNew();
  else focus.focus({ preventScroll: true });
  const restore = () => undo(item, next, wasOpen);
  toast(word("deleted"), { label: word("undo"), run: restore });
}

async function undo(item, next, wasOpen) {
  const { conversation, deletionUrl } = item.dataset;
  const response = await request(deletionUrl, { method: "DELETE" }).catch(() => null);
  if (!response?.ok) {
    toast(word("failed"));
    return;
  }
  leaving.delete(conversation);
  if (!rowOf(conversation)) {
    byId("rows").insertBefore(item, next?.isConnected ? next : byId("rows").firstElementChild);
    window.htmx.process(item);
  }
  markRows();
  const link = rowOf(conversation).querySelector(".row");
  if (wasOpen) link.click();
  else link.focus();
}

function rename(item) {
  const link = item.querySelector(".row");
  const title = item.querySelector(".row-title").textContent;
  const input = element("input", { "aria-label": word("title"), maxlength: "120", value: title });
  const form = element("form", { class: "row-rename" }, input);
  let ended = false;
  const end = async (save) => {
    if (ended) return;
    ended = true;
    const wanted = input.value.trim();
    form.replaceWith(link);
    link.focus({ preventScroll: true });
    if (save && wanted && wanted !== title) await saveTitle(item, wanted, title);
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    end(true);
  });
  input.addEventListener("blur", () => end(true));
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    end(false);
  });
  link.replaceWith(form);
  input.select();
}

async function saveTitle(item, title, before) {
  const show = (text) => {
    const row = rowOf(item.dataset.conversation);
    if (row) row.querySelector(".row-title").textContent = text;
    showTitle(item.dataset.conversation, text);
  };
  show(title);
  const body = new URLSearchParams({ title });
  const response = await request(item.dataset.titleUrl, { method: "POST", body }).catch(() => null);
  if (response?.ok) return;
  show(before);
  toast(word("failed"));
}

export function startRows() {
  on("click", "[data-row-menu]", (_event, button) => {
    menuFor = button.closest(".item");
  });
  on("click", "[data-row-rename]", () => {
    byId("row-menu").hidePopover();
    rename(menuFor);
  });
  on("click", "[data-row-delete]", () => {
    byId("row-menu").hidePopover();
    remove(menuFor);
  });
  on("keydown", ".row", (event, row) => {
    const item = row.closest(".item");
    if (event.key === "F2") rename(item);
    else if (event.key === "Delete") remove(item);
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.closest?.("#rows") || !main()) {
      showTimes(byId("rows"));
      markRows();
    }
  });
  markRows();
}
