/** Whom one may call by name: a list above the field while one writes `@…`. Comes with the first @. */
import { byId, main, on, parse, request } from "./dom.js";

const SOON = 120;
// What is written of a name: up to three words, after an @ that stands at the begin of one.
const CALL = /(?:^|[^\p{L}\p{N}_@./+-])@([^\s@]{0,40}(?: [^\s@]{1,40}){0,2})$/u;

let timer = 0;
let asked = 0;

const field = () => byId("composer-text");
const list = () => byId("callees");
const chosen = () => list()?.querySelector("[aria-selected=true]");

function begun() {
  const text = field();
  if (!text || text.selectionStart !== text.selectionEnd) return null;
  return CALL.exec(text.value.slice(0, text.selectionStart));
}

function close() {
  list()?.remove();
  for (const name of ["aria-controls", "aria-activedescendant"]) field()?.removeAttribute(name);
}

function select(option) {
  chosen()?.setAttribute("aria-selected", "false");
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  field().setAttribute("aria-activedescendant", option.id);
}

async function look() {
  const call = begun();
  if (!call) {
    close();
    return;
  }
  const mine = ++asked;
  const query = new URLSearchParams({ q: call[1] });
  const response = await request(`${main().dataset.calleesUrl}?${query}`).catch(() => null);
  if (mine !== asked || document.activeElement !== field()) return;
  close();
  if (!response?.ok || response.redirected || begun()?.[1] !== call[1]) return;
  const found = parse(await response.text()).firstElementChild;
  if (!found || mine !== asked) return;
  byId("composer").prepend(found);
  field().setAttribute("aria-controls", found.id);
  select(found.firstElementChild);
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(look, SOON);
}

function choose(option) {
  const call = begun();
  asked += 1;
  close();
  if (!call) return;
  const text = field();
  const at = text.selectionStart;
  text.setRangeText(`${option.dataset.name} `, at - call[1].length, at, "end");
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

const KEYS = {
  ArrowDown: () => select(chosen().nextElementSibling ?? list().firstElementChild),
  ArrowUp: () => select(chosen().previousElementSibling ?? list().lastElementChild),
  Enter: () => choose(chosen()),
  Tab: () => choose(chosen()),
  Escape: close,
};

// Before the field's own keys: Enter would send.
document.addEventListener(
  "keydown",
  (event) => {
    if (!list() || event.target !== field() || !(event.key in KEYS)) return;
    if (event.isComposing || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation();
    KEYS[event.key]();
  },
  true,
);
on("input", "#composer-text", soon);
on("click", "#composer-text", soon);
on("keyup", "#composer-text", (event) => {
  if (/^(Arrow(Left|Right)|Home|End)$/.test(event.key)) soon();
});
on("focusout", "#composer-text", close);
// The field keeps the focus.
on("pointerdown", "#callees", (event) => event.preventDefault());
on("click", "#callees [role=option]", (_event, option) => choose(option));
soon();
