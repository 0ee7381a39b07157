"""Static files as they are served: under names that hold their hash, compressed beforehand, and
our modules as one file, since each request and each file of its own costs.

Where files are not collected (tests, development) browsers load the modules one by one.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from django.core.files.base import ContentFile
from rjsmin import jsmin
from whitenoise.storage import CompressedManifestStaticFilesStorage

ENTRANCES = ("app", "callees", "details", "entry", "shared")

_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) )", re.MULTILINE)
_TOP_LEVEL = re.compile(r"^(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)
_OTHER_FORM = re.compile(r"^(?:import|export)\b.*|\bimport\(.*", re.MULTILINE)


def bundle(entrance: str, read: Callable[[str], str]) -> str:
    """One module that does what the module `entrance` does with all that it imports.

    They come one after the other, each once and after those it imports, in one scope. `read` gives
    a module's source by its name. Raises ValueError for an import or export in another form than
    ours, for modules that import each other, and for a name that two of them declare.
    """
    done: dict[str, str] = {}
    under_way: list[str] = []
    declared_in: dict[str, str] = {}

    def visit(name: str) -> None:
        if name in done:
            return
        if name in under_way:
            raise ValueError(f"{name}.js imports itself by way of {', '.join(under_way)}")
        under_way.append(name)
        source = read(name)
        for imported in _IMPORT.finditer(source):
            visit(imported[1])
        under_way.pop()
        body = _EXPORT.sub("", _IMPORT.sub("", source))
        if other := _OTHER_FORM.search(body):
            raise ValueError(f"{name}.js: {other[0]!r} is in a form that cannot be bundled")
        for declared in _TOP_LEVEL.findall(body):
            if declared in declared_in:
                raise ValueError(f"{declared} is in {declared_in[declared]}.js and {name}.js")
            declared_in[declared] = name
        done[name] = body

    visit(entrance)
    script: str = jsmin("".join(done.values()))
    return script


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
