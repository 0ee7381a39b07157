"""Opaque ids for addresses: a row's place in its table is nobody's business."""

import secrets

# No vowels, so that no id spells a word; no 0/1/l, which people misread.
ALPHABET = "23456789bcdfghjkmnpqrstvwxz"
LENGTH = 20  # 27**20: 95 bits


def public_id() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
