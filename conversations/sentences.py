"""Sentences that are kept in rows in English, shown in the language of who reads them.

Rows outlive the language in which they were written, and the upstream room, where most of these
come from, knows no translations. What a server said in its own words stays as it is.
"""

import re
from functools import cache

from django.utils.translation import gettext

from conversations.upstream import SENTENCES


def in_words(kept: str) -> str:
    for sentence, pattern in _with_parts():
        if found := pattern.fullmatch(kept):
            return gettext(sentence) % found.groupdict()
    ours, colon, theirs = kept.partition(": ")
    if colon and f"{ours}." in SENTENCES:
        return f"{gettext(f'{ours}.').rstrip('.')}: {theirs}"
    return gettext(kept)


@cache
def _with_parts() -> list[tuple[str, re.Pattern[str]]]:
    return [(sentence, _pattern(sentence)) for sentence in SENTENCES if "%(" in sentence]


def _pattern(sentence: str) -> re.Pattern[str]:
    # Every second one is the name of a part.
    pieces = re.split(r"%\((\w+)\)s", sentence)
    return re.compile(
        "".join(
            f"(?P<{piece}>.+)" if number % 2 else re.escape(piece)
            for number, piece in enumerate(pieces)
        ),
        re.DOTALL,
    )
