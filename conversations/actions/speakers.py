"""Who speaks, for a model: the contract has no field for names, so they stand in the text."""

import unicodedata
from collections.abc import Iterable

LONGEST = 60
UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs"}  # controls, signs of direction, and what is no character


def labels(said: Iterable[tuple[str, int | None, str]]) -> dict[str, str]:
    """For the messages of people in their order (public id, author, name): what each message's
    author is called. Two of one name get numbers; nothing where one alone has spoken."""
    called: dict[int | None, str] = {}
    label_of = {}
    for message, author, name in said:
        if author not in called:
            called[author] = _free(plain(name), set(called.values()))
        label_of[message] = called[author]
    return label_of if len(called) > 1 else {}


def plain(name: str) -> str:
    """One short line of what can be seen, so that no name looks like more than a name."""
    line = " ".join(unicodedata.normalize("NFKC", name).split())
    seen = "".join(sign for sign in line if unicodedata.category(sign) not in UNSEEN)
    return seen[:LONGEST].strip() or "somebody"


def _free(name: str, taken: set[str]) -> str:
    label, number = name, 1
    while label in taken:
        number += 1
        label = f"{name} ({number})"
    return label
