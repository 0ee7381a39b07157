/** The conversation's title: in the head, in the window, and renamed in place. */
import { byId, main, on, openConversation, word } from "./dom.js";

let named = document.title;

/** With the number of conversations in which something is unread. */
export function showWindowTitle() {
  const title = main()?.dataset.title;
  const portal = document.body.dataset.portal;
  if (main()?.classList.contains("thread-page")) named = title ? `${title} · ${portal}` : portal;
  const number = document.querySelectorAll("#rows > :not([data-muted]) .unread").length;
  document.title = number ? `(${number}) ${named}` : named;
}

export function showTitle(conversation, title) {
  if (conversation !== openConversation() || title === undefined) return;
  main().dataset.title = title;
  showWindowTitle();
  const heading = document.querySelector("[data-title-text]");
  if (heading) heading.textContent = title || word("untitled");
  const input = byId("title-input");
  if (input && input.form.hidden) input.value = title;
}

function finish(form, focus) {
  if (form.hidden) return;
  form.hidden = true;
  form.reset();
  if (focus) document.querySelector("[data-rename]")?.focus();
}

export function startTitles() {
  on("click", "[data-rename], [data-title-text]", (event) => {
    const form = document.querySelector(".head .rename");
    if (!form || main().dataset.role === "viewer") return;
    event.preventDefault();
    form.hidden = false;
    byId("title-input").value = main().dataset.title;
    byId("title-input").select();
  });
  on("keydown", "#title-input", (event, input) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    finish(input.form, true);
  });
  on("focusout", "#title-input", (_event, input) => {
    if (!input.form || input.form.hidden || input.hasAttribute("aria-invalid")) return;
    // When the answer replaces the form, the focus leaves it too: then nothing listens any more, and
    // a real submission would leave the page.
    if (input.value.trim() && input.value !== main().dataset.title) window.htmx.trigger(input.form, "submit");
    else finish(input.form, false);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id !== "title") return;
    const heading = document.querySelector("[data-title-text]");
    if (byId("title-input")?.hasAttribute("aria-invalid")) byId("title-input").focus();
    else if (heading) {
      showTitle(openConversation(), heading.textContent);
      byId("composer-text")?.focus({ preventScroll: true });
    }
  });
}
