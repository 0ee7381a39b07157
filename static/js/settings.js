/** Which model answers, and how: the picker and the settings of a conversation. */
import { byId, element, main, on, openConversation, request, word } from "./dom.js";
import { toast } from "./toast.js";

const isSaved = () => byId("settings-form")?.tagName === "FORM";
const hidden = () => document.querySelector("[data-model-value]");

async function choose(option) {
  const { model } = option.dataset;
  const before = hidden().value;
  byId("models").hidePopover();
  if (model === before) return;
  show(model);
  if (isSaved() && !(await saveModel(model))) {
    show(before);
    toast(word("failed"));
  }
}

function show(model) {
  hidden().value = model;
  for (const option of byId("models").children) {
    option.setAttribute("aria-selected", String(option.dataset.model === model));
  }
  showModel();
}

/** A composer that came anew from the server may know an older choice. */
export function showModel() {
  const model = hidden()?.value;
  const name = document.querySelector("[data-model-chip] .chip-name");
  if (!model || !name || name.textContent === model) return;
  const field = byId("composer-text");
  field.placeholder = field.placeholder.replace(name.textContent, model);
  name.textContent = model;
}

/** The model alone changes: what stands in the other fields and was not saved stays there unsaved. */
function saveModel(model) {
  const form = byId("settings-form");
  const body = new URLSearchParams();
  for (const field of form.elements) {
    if (field.name) body.set(field.name, field === hidden() ? model : field.defaultValue);
  }
  return request(form.getAttribute("hx-post"), { method: "POST", body }).then(
    (response) => response.ok && !response.redirected,
    () => false,
  );
}

function useDefaults() {
  for (const field of byId("settings-form").querySelectorAll("input:not([type=hidden]), textarea")) {
    if (field.id !== "set-system_prompt") field.value = "";
  }
}

function markChanged() {
  const changed = [...byId("settings-form").querySelectorAll("input:not([type=hidden]), textarea")].some(
    (field) => field.value.trim(),
  );
  const chip = document.querySelector("[popovertarget=settings].chip");
  const dot = chip?.querySelector(".dot");
  if (changed && !dot) chip?.append(element("span", { class: "dot" }));
  else if (!changed) dot?.remove();
}

export function adoptSettings() {
  if (!byId("settings-form")) return;
  showModel();
  markChanged();
}

export function startSettings() {
  on("click", ".option", (_event, option) => choose(option));
  on("keydown", ".option", (event, option) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      choose(option);
    } else if (event.key.length === 1) typeAhead(event.key, option);
  });
  on("click", "[data-reset-settings]", useDefaults);
  document.addEventListener("htmx:afterSwap", (event) => {
    const { target, xhr } = event.detail;
    if (target.id !== "settings-form") return;
    if (xhr.status === 200) {
      byId("settings").hidePopover();
      toast(word("saved"), undefined, 2000);
    } else byId("settings").querySelector("[aria-invalid]")?.focus();
    adoptSettings();
  });
  document.addEventListener(
    "toggle",
    (event) => {
      if (event.target.id === "settings" && event.newState === "closed" && main() && !openConversation()) markChanged();
    },
    true,
  );
  adoptSettings();
}

function typeAhead(letter, option) {
  const options = [...byId("models").children];
  const after = options.indexOf(option) + 1;
  const next = [...options.slice(after), ...options].find((one) =>
    one.dataset.model.toLowerCase().startsWith(letter.toLowerCase()),
  );
  next?.focus();
}
