"""A page in miniature: applies patches to a tree, as static/js/patch.js does in a browser."""

from html.parser import HTMLParser

from conversations.markdown import Patch

VOID = {"br", "hr"}


class Element:
    def __init__(self, tag: str, attributes: dict[str, str] | None = None) -> None:
        self.tag = tag
        self.attributes = attributes or {}
        self.nodes: list[Element | str] = []

    @property
    def children(self) -> list["Element"]:
        return [node for node in self.nodes if isinstance(node, Element)]

    @property
    def text(self) -> str:
        return "".join(node if isinstance(node, str) else node.text for node in self.nodes)

    def walk(self) -> list["Element"]:
        return [self, *(found for child in self.children for found in child.walk())]

    def shape(self, *, with_colours: bool = True) -> object:
        """A value that two equal trees share, however their text nodes are split."""
        if not with_colours and self.tag == "code":
            return ("code", self.text)
        parts: list[object] = []
        for node in self.nodes:
            if isinstance(node, Element):
                parts.append(node.shape(with_colours=with_colours))
            elif parts and isinstance(parts[-1], str):
                parts[-1] += node
            elif node:
                parts.append(node)
        return (self.tag, tuple(sorted(self.attributes.items())), tuple(parts))


class _Builder(HTMLParser):
    def __init__(self, root: Element) -> None:
        super().__init__(convert_charrefs=True)
        self.spine = [root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.spine[-1].nodes.append(element)
        if tag not in VOID:
            self.spine.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.spine[-1].nodes.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.spine[-1].tag == tag, (tag, [element.tag for element in self.spine])
        self.spine.pop()

    def handle_data(self, data: str) -> None:
        self.spine[-1].nodes.append(data)


def parse(html: str, into: Element | None = None) -> Element:
    root = into if into is not None else Element("#root")
    builder = _Builder(root)
    builder.feed(html)
    builder.close()
    assert len(builder.spine) == 1, html
    return root


def apply(root: Element, patch: Patch) -> None:
    spine = [root]
    for count in patch.path[:-1]:
        element = spine[-1]
        kept = element.children[count - 1]
        del element.nodes[element.nodes.index(kept) + 1 :]
        spine.append(kept)
    _cut(spine[-1], patch.path[-1], patch.text)
    for html in patch.html:
        parse(html, into=spine.pop())


def _cut(element: Element, count: int, units: int) -> None:
    assert len(element.children) >= count
    start = element.nodes.index(element.children[count - 1]) + 1 if count else 0
    after: list[str] = []
    for node in element.nodes[start:]:
        if isinstance(node, Element):
            break
        after.append(node)
    encoded = "".join(after).encode("utf-16-le")
    assert len(encoded) >= 2 * units
    element.nodes[start:] = [encoded[: 2 * units].decode("utf-16-le")]
