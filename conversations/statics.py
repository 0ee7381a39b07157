"""Static files as they are served: under names that hold their hash, compressed beforehand, and
our modules as one file, since each request and each file of its own costs.

Where files are not collected (tests, development) browsers load the modules one by one.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

ENTRANCES = ("app", "entry")

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*|\bimport\(.*", re.MULTILINE)
# Whole lines and whole blocks only: what stands behind code stays, whatever it looks like. None of
# our modules holds a text of several lines, in which a line could be taken for a comment.
_COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/[ \t]*\n|//[^\n]*\n)|^[ \t]+", re.DOTALL | re.MULTILINE)


def bundle(entrance: str, read: Callable[[str], str]) -> str:
    """One script that does what the module `entrance` does with all that it imports.

    Each module becomes a function that runs once, after those it imports; `read` gives a module's
    source by its name. Raises ValueError for an import or export in another form than ours, and
    for modules that import each other.
    """
    done: dict[str, str] = {}
    under_way: list[str] = []

    def visit(name: str) -> None:
        if name in done:
            return
        if name in under_way:
            raise ValueError(f"{name}.js imports itself by way of {', '.join(under_way)}")
        under_way.append(name)
        source = read(name)
        for imported in _IMPORT.finditer(source):
            visit(imported[2])
        under_way.pop()
        done[name] = _as_function(name, source)

    visit(entrance)
    return "".join(done.values())


def _as_function(name: str, source: str) -> str:
    exports = ", ".join(match[1] for match in _EXPORT.finditer(source))
    body = _EXPORT.sub("", _IMPORT.sub(r"const {\1} = m_\2;\n", _COMMENT.sub("", source)))
    if other := _OTHER.search(body):
        raise ValueError(f"{name}.js: {other[0]!r} is in a form that cannot be bundled")
    return f"const m_{name} = (() => {{\n{body}return {{ {exports} }};\n}})();\n"


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc] # it has no types
    def post_process(
        self, paths: dict[str, Any], dry_run: bool = False, **options: Any
    ) -> Iterator[tuple[str, str, bool] | tuple[str, None, RuntimeError]]:
        if not dry_run:
            paths = self._bundled(paths)
        yield from super().post_process(paths, dry_run, **options)

    def _bundled(self, paths: dict[str, Any]) -> dict[str, Any]:
        def read(name: str) -> str:
            storage, path = paths[f"js/{name}.js"]
            with storage.open(path) as file:
                source: bytes = file.read()
            return source.decode()

        bundled = dict(paths)
        for entrance in ENTRANCES:
            name = f"js/{entrance}.js"
            if name in paths:
                script = bundle(entrance, read)
                self.delete(name)
                self._save(name, ContentFile(script.encode()))
                bundled[name] = (self, name)
        return bundled
