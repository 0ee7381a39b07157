/** The field one writes in: drafts, Enter, first prompts, Stop, and a text that is never lost. */
import { liveArticles } from "./articles.js";
import { byId, element, main, newId, on, openConversation, request, word } from "./dom.js";
import { clearDrafts, keepDraft, readDraft } from "./drafts.js";
import { toLatest } from "./scroll.js";
import { toast } from "./toast.js";

const growsByItself = CSS.supports("field-sizing", "content");
const field = () => byId("composer-text");
const requestId = () => document.querySelector("[data-request-id]");

const isNote = () => document.querySelector("#composer [name=note]")?.checked || undefined;

let onItsWay = null; // what the running request carries: {text, requestId}
let isNext = false; // what stands in the field was to be sent while another was on its way
let aside = null; // what was being written when an earlier question was taken up: {conversation, text, note}

function grow() {
  if (growsByItself || !field()) return;
  field().style.height = "auto";
  field().style.height = `${field().scrollHeight}px`;
}

function write(text, note = isNote()) {
  field().value = text;
  // What was meant for people must not go to the model.
  if (note !== isNote()) document.querySelector("#composer [name=note]").checked = note;
  grow();
  keepDraft(openConversation(), { text, note });
}

/** A browser runs a module once, however often it is asked to. */
function loadCallees() {
  const src = main().dataset.calleesScript;
  if (src && field().value.includes("@") && !document.querySelector(`script[src="${src}"]`))
    document.head.append(element("script", { type: "module", src }));
}

function typed() {
  loadCallees();
  refuse("");
  grow();
  const old = readDraft(openConversation());
  keepDraft(openConversation(), { ...old, text: field().value, note: isNote() });
}

export function refuse(reason) {
  byId("composer-refusal").textContent = reason;
  if (reason) field().setAttribute("aria-invalid", "true");
  else field().removeAttribute("aria-invalid");
}

/** The composer is new: by a page that was opened, or by an answer to what was sent. */
export function adoptComposer({ focus }) {
  if (!field()) return;
  const draft = readDraft(openConversation());
  if (draft?.text && !field().value) {
    field().value = draft.text;
    // What was meant for people must not go to the model.
    if (draft.note) document.querySelector("#composer [name=note]").checked = true;
    // Nobody knows whether it arrived: the same id again makes no second message.
    if (draft.sent === draft.text && draft.requestId) requestId().value = draft.requestId;
  }
  grow();
  if (focus) field().focus({ preventScroll: true });
}

/** Writes what was put aside in this conversation. */
function takeBack() {
  if (aside?.conversation === openConversation()) write(aside.text, aside.note);
  aside = null;
}

/** The composer came for another place of the thread, where nothing is a note, or for its end again.
 * @param {string} text what stood in the field
 * @param {boolean} note whether that was for people alone */
function placed(text, note) {
  const elsewhere = field().form.querySelector(".place");
  if (elsewhere && (field().value || note)) {
    aside ??= { conversation: openConversation(), text, note };
    if (field().value) write(field().value);
  } else if (!elsewhere && aside) takeBack();
  else write(text);
  field().focus();
}

function submitting() {
  const text = field().value;
  if (onItsWay?.text !== text) onItsWay = { text, requestId: requestId().value || newId() };
  requestId().value = onItsWay.requestId;
  keepDraft(openConversation(), { text, sent: text, requestId: onItsWay.requestId, note: isNote() });
}

/** @param {string} typedMeanwhile what stood in the field when the answer came */
function arrived(conversation, typedMeanwhile) {
  const rest = typedMeanwhile.startsWith(onItsWay.text)
    ? typedMeanwhile.slice(onItsWay.text.length).trimStart()
    : typedMeanwhile;
  onItsWay = null;
  keepDraft(conversation, { text: "" });
  if (rest) write(rest);
  else takeBack();
  adoptComposer({ focus: true });
  toLatest();
  // Not at once: htmx does not know the new form yet.
  if (rest && isNext) setTimeout(() => byId("composer")?.requestSubmit());
}

/** A turn that its author withdrew is a text to write on. By htmx no answer would come: when it is
 * here, the button has gone. */
async function withdraw(button) {
  button.disabled = true;
  const response = await request(button.dataset.withdraw, { method: "DELETE" }).catch(() => null);
  button.disabled = false;
  if (!response?.ok) return toast(word(response ? "turnGone" : "failed"));
  const text = await response.text();
  if (!text) return;
  const there = field().value.trimEnd();
  write(there ? `${there}\n\n${text}` : text);
  field().focus({ preventScroll: true });
}

async function stop(button) {
  // It is about to vanish: whoever came by keyboard goes on writing.
  if (button.matches(":focus-visible")) field().focus({ preventScroll: true });
  button.disabled = true;
  for (const article of liveArticles()) {
    const response = await request(article.dataset.stopUrl, { method: "POST" }).catch(() => null);
    if (!response?.ok) toast(word("failed"));
  }
  // It vanishes when the answer has settled; should that not come, it can be pressed again.
  setTimeout(() => {
    button.disabled = false;
  }, 1500);
}

function followRequest() {
  let before = null;
  let wasNote = false;
  let conversation = "";
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id !== "composer") return;
    if (!field().value.trim()) {
      event.preventDefault();
      return;
    }
    // A page that was asked for before would take the place that the answer is for.
    window.htmx.trigger(byId("pane"), "htmx:abort");
    submitting();
    event.detail.parameters.set(requestId().name, onItsWay.requestId);
    conversation = openConversation();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { requestConfig, target } = event.detail;
    if ([requestConfig?.elt.id, target.id].includes("composer")) before = field()?.value ?? "";
    if (target.id === "composer") wasNote = isNote();
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const sender = event.detail.requestConfig?.elt;
    if (event.detail.target?.id === "scope") field().focus();
    if (sender?.id !== "composer") {
      // Said of each node that came.
      if (before !== null && sender?.matches("[hx-target='#composer']")) placed(before, wasNote);
      before = null;
      return;
    }
    if (!onItsWay) return;
    if (event.detail.xhr.status < 300) arrived(conversation, before);
    else {
      // Refused: it was not taken, so the next try is a new message.
      if (before !== onItsWay.text) write(before);
      onItsWay = null;
      isNext = false;
      // A setting that is wrong has been shown, and has the focus.
      adoptComposer({ focus: !document.querySelector("#settings:popover-open") });
    }
  });
}

export function startComposer() {
  on("input", "#composer-text, #composer [name=note]", typed);
  on("keydown", "#composer-text", (event, text) => {
    // 229 is what some browsers report for the Enter that ends a composition.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    if (text.value.trim()) text.form.requestSubmit();
  });
  // While one is on its way htmx lets nothing follow: it is sent as soon as that has arrived.
  on("submit", "#composer", () => {
    isNext = Boolean(onItsWay) && field().value !== onItsWay.text;
  });
  on("click", "[data-prompt]", (_event, button) => {
    write(button.dataset.prompt);
    field().focus();
    field().setSelectionRange(field().value.length, field().value.length);
  });
  on("click", "[data-withdraw]", (_event, button) => withdraw(button));
  on("click", "[data-stop]", (_event, button) => stop(button));
  on("click", ".box", (event) => {
    if (event.target.matches(".box, .bar")) field().focus();
  });
  on("submit", "[data-signs-out]", clearDrafts);
  followRequest();
  adoptComposer({ focus: Boolean(main()) && matchMedia("(hover: hover)").matches });
}
