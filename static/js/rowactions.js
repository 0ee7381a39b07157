/** Renaming and deleting from the sidebar, with a way back. */
import { byId, element, openConversation, request, word } from "./dom.js";
import { openNew } from "./leaving.js";
import { leaving, markRows, rowOf } from "./rows.js";
import { showTitle } from "./titles.js";
import { toast } from "./toast.js";

/** @returns {Promise<boolean>} whether it was done */
async function tell(address, method, body) {
  try {
    // It goes through even if the page is left at once; browsers take 64 KB of such.
    const response = await request(address, { method, body, keepalive: true });
    await response.text();
    return response.ok && !response.redirected;
  } catch {
    return false;
  }
}

export async function remove(item) {
  const { conversation, deletionUrl } = item.dataset;
  leaving.add(conversation);
  if (!(await tell(deletionUrl, "POST"))) {
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
  toast(word("deleted"), { label: word("undo"), run: () => undo(item, next, wasOpen) });
}

async function undo(item, next, wasOpen) {
  const { conversation, deletionUrl } = item.dataset;
  const done = await tell(deletionUrl, "DELETE");
  leaving.delete(conversation);
  if (!done) {
    toast(word("failed"));
    return;
  }
  if (!rowOf(conversation)) {
    byId("rows").insertBefore(item, next?.isConnected ? next : byId("rows").firstElementChild);
    window.htmx.process(item);
  }
  markRows();
  const link = rowOf(conversation).querySelector(".row");
  if (wasOpen) link.click();
  else link.focus();
}

/** What it looks like then comes over the socket, to all pages of the person. */
export async function mute(item) {
  const { muteUrl } = item.dataset;
  if (!(await tell(muteUrl, "muted" in item.dataset ? "DELETE" : "POST"))) toast(word("failed"));
}

export const labels = (item) => window.htmx.ajax("GET", item.dataset.labelsUrl, "#sheet");

export function rename(item) {
  const link = item.querySelector(".row");
  const title = item.querySelector(".row-title").textContent;
  const input = element("input", { "aria-label": word("title"), maxlength: "120", value: title });
  const form = element("form", { class: "row-rename" }, input);
  let ended = false;
  const end = (save) => {
    if (ended) return;
    ended = true;
    const wanted = input.value.trim();
    form.replaceWith(link);
    link.focus({ preventScroll: true });
    if (save && wanted && wanted !== title) saveTitle(item.dataset, wanted, title);
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

async function saveTitle({ conversation, titleUrl }, title, before) {
  const show = (text) => {
    const place = rowOf(conversation)?.querySelector(".row-title");
    if (place) place.textContent = text;
    showTitle(conversation, text);
  };
  show(title);
  if (await tell(titleUrl, "POST", new URLSearchParams({ title }))) return;
  show(before);
  toast(word("failed"));
}
