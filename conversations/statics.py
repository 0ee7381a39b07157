"""Static files as they are served: under names that hold their hash, compressed beforehand."""

import re
from typing import Any

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

# Whole lines and whole blocks only: what stands behind code on a line stays, whatever it looks like.
_COMMENT = re.compile(rb"^[ \t]*(?:/\*.*?\*/[ \t]*\n|//[^\n]*\n)|^[ \t]+", re.DOTALL | re.MULTILINE)


def without_comments(source: bytes) -> bytes:
    """A module of ours as browsers need it. None of ours holds a text of several lines, in which
    a line could look like a comment."""
    return _COMMENT.sub(b"", source)


class StaticFiles(CompressedManifestStaticFilesStorage):
    """Scripts name each other relatively; inside them, too, the names become hashed ones."""

    # Django's own switch would read every library's file, comments and all.
    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        (
            "js/*.js",
            (
                (r"""(?P<matched>from "(?P<url>\./[^"]+)";)""", 'from "%(url)s";'),
                (r"""(?P<matched>import\("(?P<url>\./[^"]+)"\))""", 'import("%(url)s")'),
            ),
        ),
    )
    max_post_process_passes = 20  # modules import modules that import modules

    def _save(self, name: str, content: Any) -> str:
        if name.startswith("js/") and name.endswith(".js"):
            content = ContentFile(without_comments(b"".join(content.chunks())))
        saved: str = super()._save(name, content)
        return saved
