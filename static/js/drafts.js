/** What was typed and not sent, per person and conversation, in this browser only. */

const PREFIX = "draft:";

const key = (conversation) => `${PREFIX}${document.body.dataset.user}:${conversation || "new"}`;

/**
 * @typedef {{text: string, sent?: string, requestId?: string, note?: boolean}} Draft
 * `sent` and `requestId`: what was on its way when the page was left; sent again it makes no second
 * message.
 * @returns {Draft | null}
 */
export function readDraft(conversation) {
  try {
    return JSON.parse(localStorage.getItem(key(conversation)));
  } catch {
    return null;
  }
}

/** @param {Draft} draft */
export function keepDraft(conversation, draft) {
  try {
    if (draft.text) localStorage.setItem(key(conversation), JSON.stringify(draft));
    else localStorage.removeItem(key(conversation));
  } catch {
    // Storage is full or forbidden: the text is still in the field.
  }
}

export function clearDrafts() {
  try {
    for (const name of Object.keys(localStorage)) {
      if (name.startsWith(PREFIX)) localStorage.removeItem(name);
    }
  } catch {
    // Storage is forbidden: there are none.
  }
}
