"""Text to safe HTML: the only renderer, and the only caller of `mark_safe`.

`render()` is for what is finished, `LiveMarkdown` for an answer that grows. Both pass through the
same steps: Markdown with raw HTML shown as text, highlighted code, the sanitiser over everything,
and MathML put in afterwards at markers that no text can guess.

What a page must bring: `static/js/patch.js` to apply patches; styles for the classes named in
`HIGHLIGHT_CLASSES` (spans in `.code code`), `.code`, `.bar`, `.scroll`, `.task`, `.plain`,
`.image`, `.footnotes`, `.mention` and those in `MATH_CLASSES`; `a[data-host]::after` to show
where a link leads; and `unicode-bidi: isolate` on `a`, `a::after` and `code`, so that an override
character cannot reorder what stands beside them (blocks isolate by themselves).
"""

from conversations.markdown.code import HIGHLIGHT_CLASSES
from conversations.markdown.live import LiveMarkdown
from conversations.markdown.mathml import MATH_CLASSES
from conversations.markdown.mentions import mentioned
from conversations.markdown.spine import Patch
from conversations.markdown.whole import RENDERER_VERSION, render, trusted

__all__ = [
    "HIGHLIGHT_CLASSES",
    "MATH_CLASSES",
    "RENDERER_VERSION",
    "LiveMarkdown",
    "Patch",
    "mentioned",
    "render",
    "trusted",
]
