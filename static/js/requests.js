/** What htmx sends and gets: the token, messages that come along, sessions that ended, refusals. */
import { placeArticles } from "./articles.js";
import { refuse } from "./composer.js";
import { byId, parse, token, wentToSignIn, word } from "./dom.js";
import { signedOut } from "./leaving.js";
import { showQueue } from "./queue.js";
import { toast } from "./toast.js";

/** Takes out what the answer carries for other places of the page. */
function unpack(detail) {
  if (!detail.serverResponse.includes("data-place=")) return;
  const page = parse(detail.serverResponse);
  for (const parcel of page.querySelectorAll("template[data-place]")) {
    if (parcel.dataset.place === "messages") placeArticles(parcel.innerHTML, true);
    else if (parcel.dataset.place === "queue") showQueue(parcel.innerHTML);
    else if (parcel.dataset.place === "settings") showSettings(parcel.innerHTML);
    parcel.remove();
  }
  const rest = document.createElement("div");
  rest.append(page);
  detail.serverResponse = rest.innerHTML;
}

function showSettings(html) {
  byId("settings-form").replaceWith(parse(html));
  byId("settings").showPopover();
  byId("settings").querySelector("[aria-invalid]")?.focus();
}

/** What was not taken is not shown as if it were. */
function untick({ requestConfig }) {
  const { elt, formData } = requestConfig ?? {};
  if (elt?.type === "checkbox") elt.checked = !formData.has(elt.name);
}

export function startRequests() {
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { detail } = event;
    if (detail.xhr.responseURL && wentToSignIn(detail.xhr.responseURL)) {
      detail.shouldSwap = false;
      untick(detail);
      signedOut();
    } else if (detail.shouldSwap && detail.elt.getAttribute("hx-swap") !== "none") unpack(detail);
    else if (detail.xhr.status === 409) {
      untick(detail);
      toast(detail.serverResponse.slice(0, 300));
    }
  });
  for (const failure of ["htmx:sendError", "htmx:timeout", "htmx:responseError"]) {
    document.addEventListener(failure, (event) => {
      const { xhr, requestConfig } = event.detail;
      // We say in plain text what is the matter; what stands before us does not.
      const plain = xhr?.getResponseHeader("Content-Type")?.startsWith("text/plain");
      const reason = xhr?.status === 503 && plain ? xhr.responseText.slice(0, 300) : "";
      untick(event.detail);
      if (requestConfig?.elt.id === "composer") refuse(reason || word("unreachable"));
      else if (xhr?.status === 404 && requestConfig.elt.closest("#queue, #sheet")) toast(word("turnGone"));
      else toast(reason || word("failed"));
    });
  }
}
