"""Somebody who asks as fast as a process can: `python -m tests.budget_process`.

Takes the person's mail address and how many questions. Says "ready", waits for a line, begins that
many conversations, and says how many were taken. With "hold" as a third word it reserves that many
calls as a program's, under a lease, and says so; then it waits for what never comes.
"""

import sys
from uuid import uuid4

import django

MODEL, TOKENS = "crimson-falcon-4", 900


def ask(address: str, times: int) -> int:
    from conversations.actions import messages
    from conversations.actions.refusals import OverBudget
    from conversations.models import User

    person, taken = User.objects.get(email=address), 0
    for _ in range(times):
        try:
            messages.start(
                author=person,
                text="Why?",
                request_id=uuid4(),
                model=MODEL,
                parameters={"max_tokens": TOKENS},
                system_prompt="",
            )
        except OverBudget:
            continue
        taken += 1
    return taken


def hold(address: str, times: int) -> int:
    from conversations import catalogue, ledger
    from conversations.models import User

    person = User.objects.get(email=address)
    model = catalogue.find_for(person, MODEL)
    assert model is not None
    for _ in range(times):
        call = ledger.Call(reference=f"call:{uuid4()}", person=person, model=model)
        ledger.reserve(call, prompt_tokens=100, max_tokens=TOKENS)
    return times


def main(address: str, times: int, what: str = "") -> None:
    print("ready", flush=True)
    sys.stdin.readline()
    done = hold(address, times) if what == "hold" else ask(address, times)
    print(f"taken {done}", flush=True)
    if what == "hold":
        sys.stdin.readline()


if __name__ == "__main__":
    django.setup()
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
