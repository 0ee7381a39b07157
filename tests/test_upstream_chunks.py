import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.upstream import (
    Event,
    Finished,
    FinishReason,
    Limits,
    ServerFailed,
    TextDelta,
    UpstreamError,
    UsageReported,
)
from conversations.upstream.chunks import AnswerReader
from conversations.upstream.sse import ServerSentEvent


def event(value: Any) -> ServerSentEvent:
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    return ServerSentEvent("message", data)


def piece(content: Any = None, finish: Any = None, index: Any = 0) -> dict[str, Any]:
    choice = {"index": index, "delta": {"content": content}, "finish_reason": finish}
    return {"choices": [choice]}


def read(*values: Any, **options: Any) -> list[Event]:
    reader = AnswerReader(options.pop("limits", Limits()), **options)
    for value in values:
        reader.feed(event(value))
    return reader.take()


def test_neighbouring_pieces_come_out_as_one() -> None:
    assert read(piece("a"), piece("b"), piece("c")) == [TextDelta(0, "abc")]


def test_pieces_of_other_choices_keep_their_order() -> None:
    events = read(piece("a"), piece("b", index=1), piece("c"), choices=2)
    assert events == [TextDelta(0, "a"), TextDelta(1, "b"), TextDelta(0, "c")]


def test_usage_that_grows_with_every_piece_is_reported_once_a_batch() -> None:
    usages = [{"prompt_tokens": 5, "completion_tokens": count} for count in (1, 2, 3)]
    events = read(*(piece("a") | {"usage": usage} for usage in usages))
    assert events == [TextDelta(0, "aaa"), UsageReported(5, 3)]


@pytest.mark.parametrize("count", [True, -1, "7", None, 10**12, 1.5])
def test_a_count_that_cannot_be_is_no_usage(count: Any) -> None:
    assert read({"usage": {"prompt_tokens": count, "completion_tokens": count}}) == []


def test_the_answer_is_cut_between_characters() -> None:
    events = read(piece("äöü"), limits=Limits(answer_bytes=3))
    assert events[0] == TextDelta(0, "ä")
    assert isinstance(events[1], Finished)
    assert events[1].reason is FinishReason.LENGTH


def test_what_came_ahead_of_an_error_can_still_be_taken() -> None:
    reader = AnswerReader(Limits())
    reader.feed(event(piece("Half")))
    with pytest.raises(ServerFailed):
        reader.feed(event({"error": {"message": "gone"}}))
    assert reader.take() == [TextDelta(0, "Half")]


def test_a_choice_too_few_is_told_and_the_others_count() -> None:
    reader = AnswerReader(Limits(), choices=2)
    reader.feed(event(piece("a", finish="stop")))
    reader.close()
    assert [type(e).__name__ for e in reader.take()] == ["TextDelta", "Finished", "Warned"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (429, "rate_limited"),
        ("429", "rate_limited"),
        ("insufficient_quota", "no_quota"),
        ("context_length_exceeded", "context_too_long"),
        ("invalid_api_key", "bad_key"),
        ("model_not_found", "model_not_found"),
        (502, "upstream_error"),
    ],
)
def test_an_error_inside_a_stream_is_named_like_one_outside(code: Any, expected: str) -> None:
    reader = AnswerReader(Limits())
    with pytest.raises(UpstreamError) as caught:
        reader.feed(event({"error": {"message": "no", "code": code}}))
    assert caught.value.code == expected


NAMES = (
    "id model object error usage choices delta message content index finish_reason reasoning "
    "reasoning_content refusal text code status type prompt_tokens completion_tokens"
)
FIELDS = st.sampled_from(NAMES.split())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 600),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(["stop", "error", "length", "assistant", "<b>", "\u202e"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(FIELDS, inner, max_size=5)
    ),
    max_leaves=15,
)
CHOICES = st.fixed_dictionaries(
    {},
    optional={"index": LEAVES, "delta": VALUES, "message": VALUES, "finish_reason": VALUES},
)
CHUNKS = st.one_of(
    VALUES,
    st.fixed_dictionaries({"choices": st.lists(CHOICES, max_size=3)}, optional={"usage": VALUES}),
    st.binary(max_size=20),
    st.sampled_from([b"[DONE]", b"[" * 100_000, rb'{"choices":[{"delta":{"content":"\ud800"}}]}']),
)


@given(st.lists(CHUNKS, max_size=6), st.integers(1, 3), st.booleans())
def test_whatever_comes_ends_in_clean_text_or_an_upstream_error(
    values: list[Any], choices: int, required: bool
) -> None:
    reader = AnswerReader(Limits(answer_bytes=10), choices=choices, finish_reason_required=required)
    with contextlib.suppress(UpstreamError):
        for value in values:
            reader.feed(event(value))
        reader.close()
    events = reader.take()
    ends = [e.index for e in events if isinstance(e, Finished)]
    assert len(ends) == len(set(ends))
    for delta in events:
        if isinstance(delta, TextDelta):
            assert delta.text.encode()
            assert 0 <= delta.index < choices
