"""What an answer may take and what it took: the ledger's side of a generation."""

from conversations import catalogue, ledger
from conversations.actions.refusals import OverBudget
from conversations.ledger import Used
from conversations.models import Ending, Generation, State, User


def reserve(
    generation: Generation, model: catalogue.Model, asker: User, *, characters: int, messages: int
) -> None:
    """What it may take, before its row is there. Raises OverBudget. Where a budget holds, an answer
    without a maximum of its own gets one."""
    request = generation.request
    characters += len(request["system"]) + len(request["prefill"])
    call = ledger.Call(
        reference=reference(generation),
        person=asker,
        model=model,
        conversation=generation.conversation,
    )
    try:
        hold = ledger.reserve(
            call,
            prompt_tokens=ledger.estimated_tokens(characters=characters, messages=messages + 1),
            max_tokens=request["parameters"].get("max_tokens"),
            lease=False,
        )
    except ledger.OverBudget as refused:
        raise OverBudget(refused.sentence) from refused
    if hold.max_tokens is not None:
        request["parameters"] = request["parameters"] | {"max_tokens": hold.max_tokens}


def settle_lost(generation: Generation, state: State, why: str) -> None:
    """Whoever could have told what it took is gone: estimated from what they kept."""
    choice = generation.choices.select_related("message").get(index=0)
    written = len(choice.message.text) + len(choice.message.reasoning) - choice.starts_at
    ending = Used(outcome=Ending(state), reason=why, written=max(0, written))
    ledger.settle(reference(generation), ending)


def reference(generation: Generation) -> str:
    return f"generation:{generation.public_id}"
