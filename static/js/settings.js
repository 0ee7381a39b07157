/** Which model answers, and how: the picker and the settings. */
import { byId, element, on, openConversation, request, word } from "./dom.js";
import { toast } from "./toast.js";

const hidden = () => document.querySelector("[data-model-value]");
const fields = () => byId("settings-form").querySelectorAll("input:not([type=hidden]), textarea");

async function choose(option) {
  const { model } = option.dataset;
  const before = hidden().value;
  byId("models").hidePopover();
  if (model === before) return;
  showChoice(model);
  if (openConversation() && !(await saveModel(model))) {
    showChoice(before);
    toast(word("failed"));
  }
}

function showChoice(model) {
  hidden().value = model;
  for (const option of byId("models").children) {
    option.setAttribute("aria-selected", String(option.dataset.model === model));
  }
  showModel();
}

/** A composer that came anew from the server may know an older choice. */
function showModel() {
  const model = hidden()?.value;
  const name = document.querySelector("[data-model-chip] .chip-name");
  const option = [...byId("models").children].find((one) => one.dataset.model === model);
  const label = option?.querySelector(".option-name").textContent;
  if (!label || !name || name.textContent === label) return;
  const field = byId("composer-text");
  field.placeholder = field.placeholder.replace(name.textContent, label);
  name.textContent = label;
}

/** The model alone changes: what stands in the other fields and was not saved stays unsaved. */
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

/** A dot on the button says that something differs from the defaults. */
function showDot() {
  const chip = document.querySelector("[data-settings-chip]");
  if (!chip || !byId("settings-form")) return;
  chip.querySelector(".dot")?.remove();
  if ([...fields()].some((field) => field.value.trim())) {
    chip.append(element("span", { class: "dot" }));
  }
}

function useDefaults() {
  for (const field of fields()) if (field.name !== "system_prompt") field.value = "";
}

export function startSettings() {
  on("click", ".option", (_event, option) => choose(option));
  on("keydown", ".option", (event, option) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose(option);
  });
  on("click", "[data-reset-settings]", useDefaults);
  document.addEventListener("htmx:afterSwap", (event) => {
    const { target, xhr } = event.detail;
    if (target?.id === "composer") {
      showModel();
      if (!openConversation()) showDot();
    } else if (target?.id !== "settings-form") return;
    else if (xhr.status === 200) {
      byId("settings").hidePopover();
      document.querySelector("[data-settings-chip]")?.focus({ preventScroll: true });
      showDot();
      toast(word("saved"), undefined, 2000);
    } else byId("settings").querySelector("[aria-invalid]")?.focus();
  });
  document.addEventListener(
    "toggle",
    (event) => {
      if (event.target.id === "settings" && event.newState === "closed" && !openConversation()) showDot();
    },
    true,
  );
}
