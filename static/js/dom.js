/** Small things that most modules need: elements of the page, its words, requests with a token. */

export const byId = (id) => document.getElementById(id);
export const main = () => byId("main");
/** The open conversation's id, "" on a new one and on other pages. */
export const openConversation = () => main()?.dataset.conversation ?? "";
/** @returns {string} a phrase in the page's language; see the template `words` in frame.html */
export const word = (name) => byId("words")?.dataset[name] ?? "";
export const token = () => document.querySelector("meta[name=csrf-token]").content;

export function on(type, selector, handle, options) {
  document.addEventListener(
    type,
    (event) => {
      const element = event.target instanceof Element ? event.target.closest(selector) : null;
      if (element) handle(event, element);
    },
    options,
  );
}

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `${document.body.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** @returns {DocumentFragment} not yet in the page */
export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

export function wentToSignIn(address) {
  return new URL(address, location).pathname === document.body.dataset.signin;
}

/** A request to our own server. Throws only if it could not be reached. */
export function request(address, { method = "GET", body, keepalive, headers = {} } = {}) {
  headers["HX-Request"] = "true";
  if (method !== "GET") headers["X-CSRFToken"] = token();
  return fetch(address, { method, body, headers, credentials: "same-origin", keepalive });
}

/** Works without a secure context too, where `crypto.randomUUID` is missing. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
