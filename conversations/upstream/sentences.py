"""Sentences for people, in English: this room knows no framework, so whoever shows one translates
it. With `%(name)s` in it, parts are put in before it leaves this room.
"""

SENTENCES: list[str] = []


def gettext_noop(sentence: str) -> str:
    """Named so that `makemessages` collects what it marks."""
    SENTENCES.append(sentence)
    return sentence
