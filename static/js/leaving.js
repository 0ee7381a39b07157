/** Threads that one may not see any more, and sessions that ended. */
import { byId, main, openConversation, word } from "./dom.js";
import { toast } from "./toast.js";

let knowsSignedOut = false;

/** @param {string} [reason] a phrase's name; none when the reader knows why */
export function leaveThread(reason) {
  if (!main().dataset.messagesUrl) return; // on its way out already
  delete main().dataset.messagesUrl;
  byId(`c-${openConversation()}`)?.remove();
  openNew();
  if (reason) toast(word(reason));
}

export function openNew() {
  document.querySelector("[data-new-conversation]").click();
}

/** Nothing that was typed is lost: drafts stay until somebody signs in or out on purpose. */
export function signedOut() {
  if (knowsSignedOut) return;
  knowsSignedOut = true;
  const next = encodeURIComponent(location.pathname);
  const href = `${document.body.dataset.signin}?next=${next}`;
  toast(word("signedOut"), { label: word("signIn"), href }, Infinity);
}

export const isSignedOut = () => knowsSignedOut;
