/** One dialog for what the server puts into it: it opens when something came, and closes when what
 * was sent from it has been taken. */
import { byId, on } from "./dom.js";

export function startSheet() {
  const sheet = byId("sheet");
  let within = false;
  document.addEventListener("htmx:beforeSwap", (event) => {
    within = sheet.contains(event.detail.requestConfig?.elt);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const { target, xhr } = event.detail;
    if (target !== sheet) {
      if (within) sheet.close();
      // Closed meanwhile it stays so, unless what was sent from it is refused.
    } else if (!sheet.open && (!within || xhr.status >= 400)) sheet.showModal();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr.status === 204 && sheet.contains(event.detail.elt)) sheet.close();
  });
  // What it was opened from may have been replaced meanwhile, and cannot have the focus back.
  sheet.addEventListener("close", () => {
    const back = sheet.querySelector("[data-back]")?.dataset.back;
    const at = document.activeElement;
    if (back && (at === document.body || sheet.contains(at))) (document.querySelector(back) ?? byId("filter")).focus();
  });
  on("click", "[data-close-sheet]", () => sheet.close());
}
