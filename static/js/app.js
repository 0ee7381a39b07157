/** The signed-in page. Each module attaches to `data-` attributes and works on what is swapped in. */
import { adoptArticles } from "./articles.js";
import { startCode } from "./code.js";
import { adoptComposer, startComposer } from "./composer.js";
import { startConnection, watch } from "./connection.js";
import { byId, on, openConversation } from "./dom.js";
import { openNew } from "./leaving.js";
import { startNotices } from "./notices.js";
import { startPopovers } from "./popovers.js";
import { adoptQueue } from "./queue.js";
import { startRequests } from "./requests.js";
import { markRows, startRows } from "./rows.js";
import { startScrolling, watchThread } from "./scroll.js";
import { startSettings } from "./settings.js";
import { startSheet } from "./sheet.js";
import { closeDrawer, startSidebar } from "./sidebar.js";
import { startPaging } from "./sync.js";
import { showTimes, startTimes } from "./times.js";
import { showWindowTitle, startTitles } from "./titles.js";
import { startToasts } from "./toast.js";
import { openUnread } from "./unread.js";

/** Another conversation, or a new one, has come into the main part. */
function opened() {
  adoptArticles();
  adoptQueue();
  showTimes(byId("pane"));
  watchThread();
  openUnread();
  showWindowTitle();
  markRows();
  adoptComposer({ focus: matchMedia("(hover: hover)").matches });
  watch();
}

const SWITCHES = { ArrowLeft: "button:first-child", ArrowRight: "button:last-child" };

/** Whoever clicks or goes back again before a page has come wants the last one, not the slowest. */
function dropOvertakenPages() {
  let restoring = null;
  document.addEventListener("htmx:historyCacheMiss", (event) => {
    restoring?.abort();
    restoring = event.detail.xhr;
    window.htmx.trigger(byId("pane"), "htmx:abort");
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.target?.id === "main") restoring?.abort();
  });
}

function startNavigation() {
  dropOvertakenPages();
  let last = byId("main");
  const check = () => {
    if (byId("main") === last) return;
    last = byId("main");
    closeDrawer();
    opened();
  };
  document.addEventListener("htmx:afterSwap", check);
  document.addEventListener("htmx:historyRestore", check);
  on("keydown", ".switcher", (event, switcher) => {
    if (event.key in SWITCHES) switcher.querySelector(SWITCHES[event.key]).click();
  });
  on("click", "[data-card]", (_event, { dataset }) =>
    byId(dataset.card).scrollIntoView({ block: "nearest", inline: "center" }),
  );
  document.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    // On some keyboards the slash comes with Shift.
    if (event.key === "/") byId("keys").togglePopover();
    else if (event.shiftKey && event.key.toLowerCase() === "o") openNew();
    else return;
    event.preventDefault();
  });
}

startRequests();
startTimes();
startToasts();
startCode();
startTitles();
startPopovers();
startNotices();
startSettings();
startSidebar();
startSheet();
adoptArticles();
adoptQueue();
startScrolling();
openUnread();
startRows();
startPaging();
startComposer();
startNavigation();
startConnection();
document.documentElement.dataset.ready = openConversation() || "new";
