/**
 * Puts a growing answer in place: patches from the server cut the right edge of its tree and add
 * sanitised HTML there. What is left of the cut is never touched, so a selection there survives.
 *
 * A patch is {p, t, h}. p: how many child elements stay at each level, entered through the last one
 * that stays. t: UTF-16 units that stay of the text after them at the last level. h: HTML to add,
 * innermost level first.
 */

/** @returns {boolean} false if the page does not have the place: ask for a keyframe. */
export function applyPatch(root, { p, t, h }) {
  const spine = [root];
  for (const count of p.slice(0, -1)) {
    const next = spine.at(-1).children[count - 1];
    if (!next) return false;
    spine.push(next);
  }
  if (spine.at(-1).children.length < p.at(-1) || h.length > spine.length) return false;
  spine.forEach((element, depth) => {
    const inner = depth === spine.length - 1;
    cutAfter(element, element.children[p[depth] - 1], inner ? t : 0);
  });
  for (const html of h) append(spine.pop(), html);
  return true;
}

/** The innermost element that ends with the answer's last words: where a caret belongs. */
export function lastElement(root) {
  let element = root;
  for (;;) {
    const last = lastNode(element);
    if (last?.nodeType !== Node.ELEMENT_NODE || last.matches("hr, br, math")) return element;
    element = last;
  }
}

function lastNode(element) {
  let node = element.lastChild;
  while (node?.nodeType === Node.TEXT_NODE && !node.data.trim()) node = node.previousSibling;
  return node;
}

function cutAfter(element, child, units) {
  let node = child ? child.nextSibling : element.firstChild;
  while (node) {
    const next = node.nextSibling;
    if (units > 0 && node.nodeType === Node.TEXT_NODE) {
      if (node.length > units) node.deleteData(units, node.length - units);
      units -= node.length;
    } else {
      node.remove();
    }
    node = next;
  }
}

function append(element, html) {
  if (!html) return;
  const last = element.lastChild;
  // Words without markup join the text that is there: no new node for each of them.
  if (last?.nodeType === Node.TEXT_NODE && !/[<&]/.test(html)) last.appendData(html);
  else element.insertAdjacentHTML("beforeend", html);
}
