/** Brings the open thread up to date from the table: after a gap, or where no socket comes through. */
import { mergeThread, prependArticles } from "./articles.js";
import { byId, main, openConversation, parse, request, wentToSignIn } from "./dom.js";
import { leaveThread, signedOut } from "./leaving.js";
import { placeQueue } from "./queue.js";
import { heard, removeRow, showRow } from "./rows.js";
import { showTitle } from "./titles.js";

// What the tables have lost, with a server of theirs, is not waited for without end.
const OFTEN_LATE = 5;

let running = null;
let again = false;
let withGrowing = false;
let late = 0; // so often in a row
let newestTold = 0; // the newest change that the socket brought: what was read before it comes too late

/** @param {number} revision 0 forgets it: another thread, or another socket */
export function noteTold(revision) {
  newestTold = revision && Math.max(newestTold, revision);
}

/** The same, with the growing text too: where no frames come. */
export function poll() {
  withGrowing = true;
  return sync().finally(() => {
    withGrowing = false;
  });
}

/** Calls that come while one is under way make one more, however many they are. */
export function sync() {
  if (running) {
    again = true;
    return running;
  }
  running = fetchThread()
    .catch(() => {}) // not reached: the socket's notice says so, and its return syncs again
    .finally(() => {
      running = null;
      if (again) {
        again = false;
        sync();
      }
    });
  return running;
}

async function fetchThread() {
  const conversation = openConversation();
  const address = main()?.dataset.messagesUrl;
  if (!address) return;
  const answer = await load(address);
  const page = answer?.querySelector("#messages");
  if (!page || conversation !== openConversation()) return;
  late = page.dataset.revision < newestTold ? (late + 1) % OFTEN_LATE : 0;
  if (late) {
    again = true;
    return;
  }
  placeQueue(answer.querySelector("#queue"));
  mergeThread(page, withGrowing);
  byId("messages").dataset.revision = page.dataset.revision;
  showTitle(conversation, page.dataset.title);
  showRole(page.dataset.role);
  showWho(answer.querySelector("#who"));
  document.dispatchEvent(new Event("synced"));
}

/** The faces in the head, with the mark of those who are here. */
function showWho(fresh) {
  for (const { dataset } of byId("here").querySelectorAll("[data-person]"))
    fresh.querySelector(`[data-person="${dataset.person}"]`)?.classList.add("is-here");
  byId("who").replaceChildren(...fresh.childNodes);
}

/** What one may do comes and goes with it, by the style sheet. */
function showRole(role) {
  const wrote = document.activeElement.closest(".dock");
  main().dataset.role = role;
  if (wrote && role === "viewer") byId("thread").focus({ preventScroll: true });
}

async function load(address, headers) {
  const response = await request(address, { headers });
  if (response.redirected && wentToSignIn(response.url)) signedOut();
  else if (response.status === 404 && address.startsWith(main()?.dataset.messagesUrl)) leaveThread("noAccess");
  else if (response.ok) return parse(await response.text());
  return null;
}

let listsAsked = 0;

/** The newest rows from the table: those that are gone leave, the others stand as they do there.
 * Once, with what the page came with, the server says only whether that has changed. */
export async function syncRows() {
  const mine = ++listsAsked;
  const { dataset } = byId("rows");
  const show = byId("filter").value;
  const headers = dataset.tag ? { "If-None-Match": dataset.tag } : {};
  delete dataset.tag;
  heard.clear();
  const page = await load(`${dataset.url}?show=${show}`, headers).catch(() => null);
  if (!page || mine !== listsAsked || show !== byId("filter").value) return;
  const fresh = [...page.querySelectorAll(".item")];
  const last = page.querySelector(".more") && fresh.at(-1).dataset.at;
  const isOld = (item) => heard.has(item.dataset.conversation);
  for (const item of document.querySelectorAll("#rows > .item"))
    if (!page.getElementById(item.id) && !(item.dataset.at < last) && !isOld(item)) removeRow(item.dataset.conversation);
  for (const item of fresh) if (!isOld(item)) showRow(item.dataset.conversation, item.outerHTML, false, true);
}

let paging = false;

/** Older messages, when the reader comes near the top. */
async function pageBack() {
  const list = byId("messages");
  const older = list?.dataset.older;
  if (!older || paging || byId("thread").scrollTop > 600) return;
  paging = true;
  try {
    const page = await load(`${main().dataset.messagesUrl}?before=${older}`);
    if (page && list === byId("messages")) prependArticles(page.querySelector("#messages"));
  } catch {
    // Not reached: scrolling on tries again.
  } finally {
    paging = false;
  }
}

export function startPaging() {
  document.addEventListener(
    "scroll",
    (event) => {
      if (event.target.id === "thread") pageBack();
    },
    { capture: true, passive: true },
  );
}
