"""Copies fonts and icons out of node_modules, so that the portal serves them itself.

    npm ci --ignore-scripts && python vendor.py     copy and write vendor/manifest.json
    python vendor.py --check                        compare what is here with the manifest

With node_modules present, `--check` also compares with what npm installed.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
MANIFEST = HERE / "vendor" / "manifest.json"

INTER = "@fontsource-variable/inter"
JETBRAINS = "@fontsource-variable/jetbrains-mono"
LUCIDE = "lucide-static"

COPIES = {
    "vendor/inter.woff2": (INTER, "files/inter-latin-wght-normal.woff2"),
    "vendor/inter.LICENSE.txt": (INTER, "LICENSE"),
    "vendor/jetbrains-mono.woff2": (JETBRAINS, "files/jetbrains-mono-latin-wght-normal.woff2"),
    "vendor/jetbrains-mono.LICENSE.txt": (JETBRAINS, "LICENSE"),
    "vendor/lucide.LICENSE.txt": (LUCIDE, "LICENSE"),
}

SPRITE = "icons.svg"
ICONS = """
arrow-down arrow-up ban bell bell-off chart-column check chevron-down chevron-left chevron-right
circle-alert circle-check columns-2 copy ellipsis eye git-branch git-fork info key-round link
list-filter log-out menu panel-left pencil play plus rotate-cw scissors settings share-2 shield
sliders-horizontal sparkles square square-pen tag trash-2 triangle-alert undo-2 user users wifi-off
wrap-text wrench x
""".split()  # noqa: SIM905 -- a list of forty is read more easily like this


def sprite() -> bytes:
    """One file with a symbol per icon; colour and stroke width come from the style sheet."""
    symbols = []
    for name in ICONS:
        source = (MODULES / LUCIDE / "icons" / f"{name}.svg").read_text()
        inside = re.sub(r".*?<svg[^>]*>(.*)</svg>.*", r"\1", source, flags=re.DOTALL)
        shapes = re.sub(r"\s*\n\s*", "", inside).replace(" />", "/>").strip()
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>\n')
    licence = "<!-- lucide-static, ISC and MIT: vendor/lucide.LICENSE.txt -->\n"
    body = "".join(symbols)
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{licence}{body}</svg>\n'.encode()


def installed() -> dict[str, bytes]:
    """What the files should hold, from node_modules."""
    files = {
        name: (MODULES / package / path).read_bytes() for name, (package, path) in COPIES.items()
    }
    return files | {SPRITE: sprite()}


def entry(name: str, content: bytes) -> dict[str, str]:
    package = COPIES[name][0] if name in COPIES else LUCIDE
    version = json.loads((MODULES / package / "package.json").read_text())["version"]
    digest = hashlib.sha256(content).hexdigest()
    return {"package": package, "version": version, "sha256": digest}


def copy() -> None:
    files = installed()
    MANIFEST.parent.mkdir(exist_ok=True)
    for name, content in files.items():
        (HERE / name).write_bytes(content)
    manifest = {name: entry(name, content) for name, content in sorted(files.items())}
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")


def differences() -> list[str]:
    """Names of files that are missing or are not what the manifest says."""
    manifest: dict[str, dict[str, str]] = json.loads(MANIFEST.read_text())
    wrong = [name for name in (*COPIES, SPRITE) if name not in manifest]
    for name, expected in manifest.items():
        path = HERE / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"
        if found != expected["sha256"]:
            wrong.append(name)
    if MODULES.is_dir():
        wrong += [
            name
            for name, content in installed().items()
            if manifest.get(name) != entry(name, content)
        ]
    return sorted(set(wrong))


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        wrong = differences()
        for name in wrong:
            print(f"{name} is not what vendor/manifest.json says")
        return 1 if wrong else 0
    copy()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
