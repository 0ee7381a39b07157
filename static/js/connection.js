/** The page's one socket: what it is told goes to the thread, the sidebar, or a notice. */
import { byId, element, openConversation, request, wentToSignIn, word } from "./dom.js";
import { isSignedOut, leaveThread, signedOut } from "./leaving.js";
import { forgetFrames, startLive, threadMessages } from "./live.js";
import { notice } from "./notices.js";
import { presenceMessages, showTyping, startPresence, tellLook } from "./presence.js";
import { heard, removeRow, showRow } from "./rows.js";
import { Connection } from "./socket.js";
import { poll, sync, syncRows } from "./sync.js";
import { toast } from "./toast.js";
import { repeatRead, startUnread } from "./unread.js";

const NOTICE_AFTER = 2000;
const MISSED_SPREAD = 1000; // all pages of a process are told at once

// Who left knows it.
const GONE = { deleted: "gone", removed: "noAccess" };

let connection = null;
let downFor = 0;
let returning = false;

const messages = {
  ...threadMessages,
  ...presenceMessages,
  notice,
  row(message) {
    heard.add(message.c);
    showRow(message.c, message.html, message.top);
  },
  gone(message) {
    heard.add(message.c);
    const open = message.c === openConversation();
    if (!removeRow(message.c) && open) leaveThread(GONE[message.why]);
  },
  missed: () => setTimeout(catchUp, Math.random() * MISSED_SPREAD),
};

/** After a time in which anything may have happened. */
function catchUp() {
  watch();
  sync();
  syncRows();
}

export function watch() {
  forgetFrames();
  connection?.send({ t: "watch", c: openConversation() });
}

/** Nothing while all is well; a word after two seconds without a connection. */
function showState(up) {
  if (!up) showTyping("");
  if (up) {
    clearTimeout(downFor);
    downFor = 0;
    byId("connection").replaceChildren();
  } else {
    downFor ||= setTimeout(() => {
      if (isSignedOut()) return;
      const text = word(navigator.onLine ? "reconnecting" : "offline");
      byId("connection").replaceChildren(element("span", {}, text));
    }, NOTICE_AFTER);
  }
}

async function checkSession() {
  try {
    const response = await request(location.pathname, { method: "HEAD" });
    if (response.redirected && wentToSignIn(response.url)) signedOut();
  } catch {
    // Not reached: the connection's own notice says so.
  }
}

/** @returns {boolean} whether to come back; see the close codes in consumers.py */
function closed(code) {
  if (code === 4401) {
    checkSession();
    return !isSignedOut();
  }
  if (code === 4403) leaveThread("noAccess");
  if (code === 4429) toast(word("tooManyTabs"));
  return true;
}

export function startConnection() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  connection = new Connection(`${scheme}//${location.host}${document.body.dataset.socket}`, {
    opened() {
      tellLook();
      watch();
      if (returning) sync();
      returning = true;
      // Also at first: what happened between the page and its socket was told to nobody here.
      syncRows();
      repeatRead();
    },
    received: (message) => messages[message.t]?.(message),
    closed,
    state: showState,
    poll,
  });
  const send = (message) => connection.send(message);
  startLive(send);
  startPresence(send);
  startUnread(send);
}
