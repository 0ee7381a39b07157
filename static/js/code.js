/** Copy and wrap buttons on code blocks, and copying whole messages as Markdown. */
import { element, icon, on, request, word } from "./dom.js";
import { toast } from "./toast.js";

/** Gives the blocks that have none their buttons: from the last one back, as answers grow there. */
export function dressCode(root) {
  const bars = root.getElementsByClassName("bar");
  for (let index = bars.length - 1; index >= 0; index -= 1) {
    if (bars[index].querySelector("button")) return;
    bars[index].append(
      tool("wrap", "wrap-text", word("wrap"), { "aria-pressed": "false" }),
      tool("code-copy", "copy", word("copy"), {}, word("copy")),
    );
  }
}

function tool(name, shape, label, more, ...text) {
  const attributes = { type: "button", title: label, [`data-${name}`]: "", ...more };
  if (!text.length) attributes["aria-label"] = label;
  return element("button", attributes, icon(shape), ...text);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(await text);
  } catch {
    toast(word("copyFailed"));
    return;
  }
  const use = button.querySelector("use");
  const [file] = use.getAttribute("href").split("#");
  use.setAttribute("href", `${file}#check`);
  if (button.lastChild.nodeType === Node.TEXT_NODE && "codeCopy" in button.dataset) {
    button.lastChild.data = word("copied");
  } else toast(word("copied"), undefined, 1500);
  setTimeout(() => {
    use.setAttribute("href", `${file}#copy`);
    if ("codeCopy" in button.dataset) button.lastChild.data = word("copy");
  }, 1600);
}

async function markdown(address) {
  const response = await request(address);
  if (!response.ok) throw new Error(response.statusText);
  return response.text();
}

export function startCode() {
  on("click", "[data-copy-text]", (_event, button) => copy(button.dataset.copyText, button));
  on("click", "[data-code-copy]", (_event, button) => {
    copy(button.closest(".code").querySelector("pre").textContent, button);
  });
  on("click", "[data-wrap]", (_event, button) => {
    const wrapped = button.closest(".code").classList.toggle("wrapped");
    button.setAttribute("aria-pressed", String(wrapped));
  });
  on("click", "[data-copy-url]", (_event, button) => {
    copy(markdown(button.dataset.copyUrl), button);
  });
}
