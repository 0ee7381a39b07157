/** The details drawer, once somebody opens it: dates, news read out, the focus, and what changes
 * while it is open. */
import { say } from "./announce.js";
import { byId, main, parse, request } from "./dom.js";

const language = document.documentElement.lang || undefined;
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

const body = () => byId("details-body");

function showDates(root) {
  for (const time of root.querySelectorAll("time[data-date]")) {
    const at = new Date(time.dateTime);
    time.textContent = day.format(at);
    time.title = exact.format(at);
  }
}

/** Who changed something by keyboard stays where that was, or is where the answer is. */
function followFocus() {
  let place = "";
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const holder = document.activeElement?.closest("#details-body [id]:not([popover])");
    if (detail.target === body()) place = holder?.id ?? "";
  });
  document.addEventListener("htmx:afterSwap", ({ detail }) => {
    if (detail.target !== body()) return;
    showDates(body());
    const news = body().querySelector("[data-news]");
    if (news) say((news.querySelector("p") ?? news).textContent.trim());
    if (!place || document.activeElement !== document.body) return;
    const there = byId(place);
    const control = there?.matches("input, select, button") ? there : there?.querySelector("button:enabled");
    const next = body().querySelector("[aria-invalid]") ?? news ?? control ?? body().querySelector("h3");
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
  });
}

/** Earlier pages of the history. */
function followPages() {
  document.addEventListener("htmx:load", ({ detail }) => {
    if (!detail.elt.matches?.(".changes > li")) return;
    byId("details-history").dataset.paged = "";
    showDates(detail.elt);
  });
}

/** Parts in which nobody is busy become as a fresh page has them; all of it for another role. */
async function refresh() {
  if (!byId("details")?.matches(":popover-open")) return;
  const response = await request(body().getAttribute("hx-get")).catch(() => null);
  if (!response?.ok || response.redirected) return;
  const page = parse(await response.text());
  showDates(page);
  const [old, fresh] = [body().firstElementChild, page.firstElementChild];
  if (!old || !main().contains(old)) return;
  if (old.dataset.role !== fresh.dataset.role) swap(old, fresh);
  else for (const part of page.querySelectorAll("[data-part]")) swap(byId(part.id), part);
}

function swap(old, fresh) {
  // Not what somebody has unfolded: a menu, two texts, earlier pages of the history.
  if (!old || old.isEqualNode(fresh) || old.querySelector(":popover-open, details[open]")) return;
  if (old.id === "details-history" && old.dataset.paged) return;
  const had = old.contains(document.activeElement) && document.activeElement.closest("[id]").id;
  old.replaceWith(fresh);
  window.htmx.process(fresh);
  if (had) (byId(had)?.querySelector("button") ?? byId("details")).focus({ preventScroll: true });
}

document.addEventListener("synced", refresh);
showDates(document);
followFocus();
followPages();
