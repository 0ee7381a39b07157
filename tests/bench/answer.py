"""The answer that is streamed: Markdown of the usual kinds whose words say when they were written.

A word is `T` and four digits to base 36, which count ticks of CLOCK_MONOTONIC: about as long as a
token of a real model, and the clock is the same in every process of the machine.
"""

import re

TICK_NS = 50_000
CYCLE = 36**4  # ticks: 84 s
WORD = re.compile(r"T([0-9A-Z]{4})")
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

SECTION = """## @ @ @

@ @ @ @ @ @ **@ @** @ @ @ @ @ @, @ @ @ @ @ `@` @ @ @ @. @ @ @ @ @ @ @ @ @ @ @ @, @ @ @ @ @ @ @.
@ @ @ @ @ *@* @ @ @ @ @: @ @ @ @ @ @ @.

1. **@**: @ @ @ @ @ @ @ @ @
2. **@**: @ @ @ @ @ @ @ @ @ @ @
3. **@**: @ @ `@` @ @ @ @ @

```python
def @(@, @):
    for @ in @:
        if @ > @:
            return @.@(@)
    return @ + @
```

@ @ @ @ @ @ @ @ @ @ @ @ [@ @](https://example.com/) @ @ @ @ @ @ @ @ @ @ @ @ @ @ @ @ @ @ @ @ @.

| @ | @ | @ |
|---|---|---|
| @ | @ @ @ | @ |
| @ | @ @ | @ |
| @ | @ @ @ | @ |

- @ @ @ @ @ @ @
- @ @ @ @ @ @ @ @ @ @
- @ @ @ @ @

"""

_GAPS = SECTION.split("@")
_WORDS = len(_GAPS) - 1


def gap(number: int) -> str:
    """What stands ahead of a word: a token is that and the word, as a model's tokens are."""
    turn, place = divmod(number, _WORDS)
    return (_GAPS[-1] if turn and place == 0 else "") + _GAPS[place]


def skeleton(tokens: int) -> str:
    """The answer with `@` for each word."""
    return "".join(gap(number) + "@" for number in range(tokens))


def word(tick: int) -> str:
    tick, digits = tick % CYCLE, ""
    for _ in range(4):
        tick, digit = divmod(tick, 36)
        digits = DIGITS[digit] + digits
    return f"T{digits}"


def ticks(text: str, now: int) -> list[int]:
    """When the words in `text` were written, in ticks; `now` too, which is at most 80 s later."""
    earliest = now - CYCLE + CYCLE // 32
    return [earliest + (int(digits, 36) - earliest) % CYCLE for digits in WORD.findall(text)]
