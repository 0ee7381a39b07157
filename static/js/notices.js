/** The browser's own notifications: only where the person has asked for them, and while the page is
 * hidden. */
import { byId, on, word } from "./dom.js";
import { toast } from "./toast.js";

const STORED = "notices";

function noticesOn() {
  try {
    // Another person at this browser asks for themselves.
    return Notification.permission === "granted" && localStorage.getItem(STORED) === document.body.dataset.user;
  } catch {
    return false; // no notifications here, or storage is forbidden
  }
}

function showNotices() {
  document.querySelector("[data-notices]")?.setAttribute("aria-pressed", String(noticesOn()));
}

async function toggleNotices() {
  const off = noticesOn();
  if (!off && (await Notification.requestPermission()) !== "granted") toast(word("noticesDenied"));
  try {
    if (off) localStorage.removeItem(STORED);
    else localStorage.setItem(STORED, document.body.dataset.user);
  } catch {
    // Storage is forbidden: they stay off.
  }
  showNotices();
}

export function notice({ c, title, text }) {
  if (!document.hidden || !text || !noticesOn()) return;
  const address = byId(`c-${c}`)?.querySelector("a").href;
  try {
    // Several tabs show it once.
    const shown = new Notification(title || word("untitled"), { body: text, tag: `${c} ${text}` });
    shown.onclick = () => {
      focus();
      if (address) location.assign(address);
      shown.close();
    };
  } catch {
    // Some browsers on phones have the word for it and cannot do it.
  }
}

export function startNotices() {
  if (!("Notification" in window)) return;
  document.querySelector("[data-notices]")?.removeAttribute("hidden");
  on("click", "[data-notices]", toggleNotices);
  showNotices();
}
