"""What servers that answer really send: rows 1 to 28 of `python -m tests.upstream --help`."""

from typing import Any

import pytest

from conversations.upstream import (
    Finished,
    FinishReason,
    Interrupted,
    Limits,
    TextDelta,
    Timeouts,
    UsageReported,
)
from tests.upstream.framing import ACCENTS, SEPARATORS
from tests.upstream.stage import IMPATIENT, Stage, assert_good


@pytest.mark.parametrize(
    ("row", "name", "options"),
    [
        (1, "role_only_first", {}),
        (2, "empty_deltas", {}),
        (3, "usage_last", {}),
        (4, "usage_packed", {}),
        (6, "filter_first", {}),
        (7, "comments", {}),
        (10, "no_done", {}),
        (14, "line_ends", {"style": "crlf"}),
        (14, "line_ends", {"style": "cr"}),
        (14, "line_ends", {"style": "mixed"}),
        (14, "line_ends", {"style": "split"}),
        (17, "several_data_lines", {}),
        (18, "spaces", {"count": 0}),
        (18, "spaces", {"count": 2}),
        (19, "bom_and_fields", {}),
        (20, "no_last_blank", {}),
        (23, "compressed", {"encoding": "gzip"}),
        (23, "compressed", {"encoding": "deflate"}),
        (23, "compressed", {"encoding": "raw"}),
        (25, "no_index", {}),
        (26, "reasoning", {}),
        (27, "message_for_delta", {}),
        (27, "json_answer", {}),
        (28, "garbage_line", {}),
        (30, "content_type", {"value": "text/plain"}),
        (30, "content_type", {"value": "application/json"}),
        (30, "content_type", {"value": ""}),
        (30, "content_type", {"value": "text/plain", "form": "comment"}),
        (30, "content_type", {"value": "text/event-stream", "form": "json"}),
        (30, "content_type", {"value": "", "form": "json"}),
        (34, "open_end", {}),
        (40, "text_after_end", {}),
    ],
)
async def test_an_odd_but_whole_answer_is_read_as_it_was_meant(
    stage: Stage, row: int, name: str, options: dict[str, Any]
) -> None:
    assert_good(await stage.play(name, **options))


async def test_row_1_a_role_alone_is_no_text(stage: Stage) -> None:
    outcome = await stage.play("role_only_first")
    assert all(delta.text for delta in outcome.of(TextDelta))


@pytest.mark.parametrize("name", ["usage_last", "usage_packed"])
async def test_rows_3_and_4_usage_is_reported_once(stage: Stage, name: str) -> None:
    assert (await stage.play(name)).of(UsageReported) == [UsageReported(7, 3)]


async def test_row_5_an_interrupted_answer_has_no_usage_rather_than_zero(stage: Stage) -> None:
    assert (await stage.play("cut_midway")).of(UsageReported) == []


async def test_row_7_comments_keep_an_answer_alive_between_its_words(stage: Stage) -> None:
    assert_good(await stage.play("comments", IMPATIENT, every=0.1, count=5))


async def test_row_7_comments_do_not_count_as_the_first_word(stage: Stage) -> None:
    outcome = await stage.play("comments_for_ever", IMPATIENT, every=0.05)
    assert outcome.code == "timeout_first_token"


@pytest.mark.parametrize("shape", ["object", "flat", "string"])
@pytest.mark.parametrize("done", [0, 1])
async def test_row_8_an_error_inside_the_stream_keeps_the_text(
    stage: Stage, shape: str, done: int
) -> None:
    outcome = await stage.play("error_midway", shape=shape, done=done)
    assert outcome.error is not None
    assert (outcome.text(), outcome.code, outcome.finishes) == (
        "Half an answer",
        "upstream_error",
        [],
    )
    assert "The model crashed." in outcome.error.message
    assert outcome.error.after_text
    assert outcome.error.retryable


@pytest.mark.parametrize("shape", ["object", "flat", "string"])
async def test_row_8_an_error_ahead_of_any_text_is_not_sent_again(stage: Stage, shape: str) -> None:
    outcome = await stage.play("error_first", shape=shape)
    assert outcome.code == "upstream_error"
    assert outcome.error is not None
    assert not outcome.error.after_text
    assert len(stage.server.requests) == 1


async def test_row_9_finish_reason_error_is_a_failure(stage: Stage) -> None:
    outcome = await stage.play("finish", reason="error")
    assert (outcome.code, outcome.text(), outcome.finishes) == (
        "upstream_error",
        "Hello, world",
        [],
    )


async def test_row_9_an_unknown_finish_reason_ends_the_answer_with_a_note(stage: Stage) -> None:
    outcome = await stage.play("finish", reason="weary")
    assert outcome.finishes == [(0, FinishReason.OTHER)]
    assert "weary" in outcome.of(Finished)[0].note
    assert outcome.warnings == ["unknown_finish_reason"]


@pytest.mark.parametrize(
    ("row", "name", "text"),
    [
        (11, "eof_midway", "Half an answer"),
        (12, "done_without_finish", "Hello, world"),
        (13, "cut_midway", "Half an answer"),
        (13, "reset_midway", "Half an answer"),
    ],
)
async def test_an_answer_without_its_end_is_interrupted_and_not_sent_again(
    stage: Stage, row: int, name: str, text: str
) -> None:
    outcome = await stage.play(name)
    assert (outcome.code, outcome.text(), outcome.finishes) == ("interrupted", text, [])
    assert outcome.error is not None
    assert outcome.error.retryable
    assert outcome.error.after_text
    assert len(stage.server.requests) == 1


async def test_row_12_a_server_known_to_send_no_finish_reason_may_end_with_done(
    stage: Stage,
) -> None:
    stage.server.script("done_without_finish")
    outcome = await stage.ask(finish_reason_required=False)
    assert_good(outcome)
    assert outcome.of(Finished)[0].note


async def test_row_12_even_such_a_server_must_say_done(stage: Stage) -> None:
    stage.server.script("eof_midway")
    assert (await stage.ask(finish_reason_required=False)).code == "interrupted"


async def test_row_13_bytes_that_are_no_chunk_break_the_answer_off(stage: Stage) -> None:
    outcome = await stage.play("bad_chunk", IMPATIENT)
    assert isinstance(outcome.error, Interrupted)
    assert outcome.text() == "Half an answer"


async def test_row_15_unusual_separators_are_kept_byte_for_byte(stage: Stage) -> None:
    assert_good(await stage.play("unicode_separators"), SEPARATORS)


async def test_row_16_characters_cut_in_two_are_joined(stage: Stage) -> None:
    assert_good(await stage.play("split_characters"), ACCENTS)


async def test_row_16_bytes_that_are_no_utf8_become_a_replacement_character(stage: Stage) -> None:
    assert_good(await stage.play("bad_utf8"), "Caf\ufffd!")


async def test_row_16_escaped_halves_of_a_character_never_crash(stage: Stage) -> None:
    assert_good(await stage.play("half_surrogates"), "a\ufffd\ufffdb")


async def test_row_19_an_event_named_error_is_a_failure(stage: Stage) -> None:
    outcome = await stage.play("named_error")
    assert (outcome.code, outcome.text()) == ("upstream_error", "Half an answer")


async def test_row_19_blanks_ahead_of_the_stream_do_not_matter(stage: Stage) -> None:
    assert_good(await stage.play("blanks"))


async def test_row_21_a_huge_event_cuts_the_answer_at_the_limit(stage: Stage) -> None:
    outcome = await stage.play("huge_event")
    assert (outcome.error, outcome.text()) == (None, "Hello")
    assert outcome.finishes == [(0, FinishReason.LENGTH)]
    assert "limit" in outcome.of(Finished)[0].note


async def test_row_21_an_endless_answer_is_cut_and_the_connection_closed(stage: Stage) -> None:
    stage.server.script("endless")
    outcome = await stage.ask(limits=Limits(answer_bytes=20_500))
    assert len(outcome.text()) == 20_500
    assert outcome.finishes == [(0, FinishReason.LENGTH)]
    await stage.server.until_idle()


async def test_row_21_an_endless_answer_is_cut_when_its_time_is_over(stage: Stage) -> None:
    stage.server.script("endless", size=1, pause=0.01)
    outcome = await stage.ask(timeouts=Timeouts(total=0.2))
    assert outcome.finishes == [(0, FinishReason.LENGTH)]


async def test_row_22_a_long_line_in_small_pieces_is_read(stage: Stage) -> None:
    assert_good(await stage.play("long_line", size=50_000), "x" * 50_000)


async def test_row_23_we_ask_for_no_compression(stage: Stage) -> None:
    await stage.ask()
    assert stage.server.requests[0].headers["accept-encoding"] == "identity"


async def test_row_23_limits_hold_after_decompression(stage: Stage) -> None:
    stage.server.script("bomb", megabytes=30)
    outcome = await stage.ask(limits=Limits(body_bytes=2_000_000))
    assert outcome.finishes == [(0, FinishReason.LENGTH)]


async def test_row_23_a_compression_that_we_do_not_know_is_unreadable(stage: Stage) -> None:
    assert (await stage.play("compressed", encoding="br")).code == "unreadable"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
    ],
)
async def test_row_24_each_usual_finish_reason_is_kept_apart(
    stage: Stage, reason: str, expected: FinishReason
) -> None:
    assert (await stage.play("finish", reason=reason)).finishes == [(0, expected)]


async def test_row_24_a_tool_call_is_explained(stage: Stage) -> None:
    assert "tool" in (await stage.play("tool_call")).of(Finished)[0].note


async def test_row_25_interleaved_choices_are_kept_apart(stage: Stage) -> None:
    stage.server.script("two_choices")
    outcome = await stage.ask(n=2)
    assert (outcome.text(0), outcome.text(1)) == ("one two three", "un deux trois")
    assert outcome.finishes == [(1, FinishReason.STOP), (0, FinishReason.LENGTH)]


async def test_row_25_a_choice_that_was_not_asked_for_is_ignored(stage: Stage) -> None:
    outcome = await stage.play("two_choices")
    assert (outcome.text(0), outcome.text(1)) == ("one two three", "")
    assert "unexpected_choice" in outcome.warnings


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_row_26_reasoning_never_mixes_with_the_answer(stage: Stage, name: str) -> None:
    outcome = await stage.play("reasoning", field=name)
    assert (outcome.reasoning, outcome.text()) == ("Let me think.", "Hello, world")


async def test_row_27_parts_of_a_list_are_joined(stage: Stage) -> None:
    assert_good(await stage.play("parts"), "Hello, world!")


async def test_row_27_repeated_text_is_not_guessed_away(stage: Stage) -> None:
    assert_good(await stage.play("repeats"), "HaHaHa")


async def test_row_28_a_line_that_is_no_json_is_counted_and_skipped(stage: Stage) -> None:
    assert (await stage.play("garbage_line")).warnings == ["unreadable_line"]


async def test_row_28_a_stream_of_nothing_else_is_unreadable(stage: Stage) -> None:
    assert (await stage.play("all_garbage")).code == "unreadable"
