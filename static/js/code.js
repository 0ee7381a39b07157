/** Copy and wrap buttons on code blocks, and copying whole messages as Markdown. */
import { say } from "./announce.js";
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

/** @param {string | Promise<string>} text may still be on its way: the click counts all the same */
async function copy(text, button) {
  const plain = Promise.resolve(text).then((words) => new Blob([words], { type: "text/plain" }));
  try {
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": plain })]);
  } catch {
    toast(word("copyFailed"));
    return;
  }
  showCopied(button);
}

function showCopied(button) {
  const use = button.querySelector("use");
  const label = button.matches("[data-code-copy]") ? button.lastChild : null;
  const shape = use?.getAttribute("href");
  const show = (mark, name) => {
    use?.setAttribute("href", mark);
    if (label) label.data = word(name);
  };
  show(shape?.replace("#copy", "#check"), "copied");
  setTimeout(() => show(shape, "copy"), 1600);
  if (label) say(word("copied"));
  else toast(word("copied"), undefined, 1600);
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
