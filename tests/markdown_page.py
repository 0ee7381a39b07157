"""A page in miniature: applies patches to a tree, as static/js/patch.js does in a browser."""

from functools import lru_cache
from html.parser import HTMLParser

from conversations.markdown import Patch

VOID = {"br", "hr"}


class Element:
    def __init__(self, tag: str, attributes: dict[str, str] | None = None) -> None:
        self.tag = tag
        self.attributes = attributes or {}
        self.nodes: list[Element | str] = []
        self._places: list[int] = []  # where among the nodes the elements stand

    def add(self, node: "Element | str") -> None:
        if isinstance(node, Element):
            self._places.append(len(self.nodes))
        self.nodes.append(node)

    def place(self, number: int) -> int:
        """Where among the nodes the element of this number stands, from 1."""
        return self._places[number - 1]

    def cut(self, end: int) -> None:
        """Leaves the first `end` nodes."""
        del self.nodes[end:]
        while self._places and self._places[-1] >= end:
            self._places.pop()

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
        self.spine[-1].add(element)
        if tag not in VOID:
            self.spine.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.spine[-1].add(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.spine[-1].tag == tag, (tag, [element.tag for element in self.spine])
        self.spine.pop()

    def handle_data(self, data: str) -> None:
        self.spine[-1].add(data)


def parse(html: str, into: Element | None = None) -> Element:
    root = into if into is not None else Element("#root")
    builder = _Builder(root)
    builder.feed(html)
    builder.close()
    assert len(builder.spine) == 1, html
    return root


@lru_cache(20_000)
def shape_of(html: str) -> object:
    """That of its tree; kept, since what answers begin with comes again and again."""
    return parse(html).shape()


def apply(root: Element, patch: Patch) -> None:
    spine = [root]
    for count in patch.path[:-1]:
        element = spine[-1]
        place = element.place(count)
        kept = element.nodes[place]
        assert isinstance(kept, Element)
        element.cut(place + 1)
        spine.append(kept)
    _cut(spine[-1], patch.path[-1], patch.text)
    for html in patch.html:
        parse(html, into=spine.pop())


def _cut(element: Element, count: int, units: int) -> None:
    start = element.place(count) + 1 if count else 0
    after: list[str] = []
    for node in element.nodes[start:]:
        if isinstance(node, Element):
            break
        after.append(node)
    encoded = "".join(after).encode("utf-16-le")
    assert len(encoded) >= 2 * units
    element.cut(start)
    element.add(encoded[: 2 * units].decode("utf-16-le"))
