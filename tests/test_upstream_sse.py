import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.upstream.sse import EventTooLarge, ServerSentEvent, SSEDecoder


def decode(*chunks: bytes, flush: bool = False) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.flush() if flush else events


def data(*chunks: bytes) -> list[bytes]:
    return [event.data for event in decode(*chunks)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_each_line_end_closes_an_event(end: bytes) -> None:
    assert data(b"data: a" + end * 2 + b"data: b" + end * 2) == [b"a", b"b"]


def test_a_cr_lf_cut_in_two_is_one_line_end() -> None:
    assert data(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [b"a\nb"]


def test_a_lone_cr_ends_a_line_without_waiting_for_more() -> None:
    assert data(b"data: a\r\r") == [b"a"]


def test_an_empty_chunk_between_cr_and_lf_changes_nothing() -> None:
    assert data(b"data: a\r", b"", b"\ndata: b\n\n") == [b"a\nb"]


def test_several_data_lines_are_joined_by_a_line_feed() -> None:
    assert data(b"data: a\ndata\ndata: b\n\n") == [b"a\n\nb"]


def test_one_space_behind_the_colon_is_dropped_and_no_more() -> None:
    assert data(b"data:a\n\n", b"data: a\n\n", b"data:  a\n\n") == [b"a", b"a", b" a"]


def test_a_byte_order_mark_is_skipped_even_in_pieces() -> None:
    assert data(b"\xef", b"\xbb", b"\xbfdata: a\n\n") == [b"a"]


def test_a_byte_order_mark_later_is_part_of_its_line() -> None:
    assert data(b"data: a\n\n\xef\xbb\xbfdata: b\n\n") == [b"a"]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\0"])
def test_no_other_character_ends_a_line(separator: str) -> None:
    text = f"a{separator}b".encode()
    assert data(b"data: " + text + b"\n\n") == [text]


def test_comments_are_counted_and_are_no_events() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b": ping\n\n:\n\n") == []
    assert decoder.comments == 2


def test_the_event_name_holds_for_one_event() -> None:
    events = decode(b"event: error\ndata: a\n\ndata: b\n\n")
    assert [event.event for event in events] == ["error", "message"]


def test_an_event_without_data_is_none_and_its_name_is_forgotten() -> None:
    assert decode(b"event: ping\nid: 7\nretry: 10\n\ndata: a\n\n") == [
        ServerSentEvent("message", b"a")
    ]


def test_what_is_left_at_the_end_comes_out_marked_as_incomplete() -> None:
    assert decode(b"data: a", flush=True) == [ServerSentEvent("message", b"a", complete=False)]
    assert decode(b"data: a\n", flush=True) == [ServerSentEvent("message", b"a", complete=False)]


def test_nothing_is_left_after_a_closed_event() -> None:
    assert decode(b"data: a\n\n", flush=True) == [ServerSentEvent("message", b"a")]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 100, b"data: xxxxxxxxx\n" * 10, b"x" * 101])
def test_an_event_over_the_limit_is_refused(stream: bytes) -> None:
    decoder = SSEDecoder(max_event_bytes=90)
    with pytest.raises(EventTooLarge):
        decoder.feed(stream)


def test_a_line_in_one_byte_pieces_is_refused_at_the_limit() -> None:
    decoder = SSEDecoder(max_event_bytes=90)
    for _ in range(90):
        decoder.feed(b"x")
    with pytest.raises(EventTooLarge):
        decoder.feed(b"x")


def test_the_limit_is_for_each_event_and_not_for_the_stream() -> None:
    decoder = SSEDecoder(max_event_bytes=20)
    assert len(decoder.feed(b"data: 0123456789\n\n" * 50)) == 50


def test_a_line_in_one_byte_pieces_takes_linear_time() -> None:
    def seconds(size: int) -> float:
        decoder = SSEDecoder(max_event_bytes=size + 100)
        begun = time.process_time()
        for _ in range(size):
            decoder.feed(b"x")
        return time.process_time() - begun

    small = seconds(100_000)
    assert seconds(400_000) < 4 * small * 3


LINES = st.lists(
    st.one_of(
        st.sampled_from([b"", b":", b"data", b"data:", b"data: ", b"event: error", b"id: 1", b"x"]),
        st.builds(lambda text: b"data: " + text.encode(), st.text(max_size=20)),
        st.binary(max_size=12),
    ),
    max_size=12,
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    start = draw(st.sampled_from([b"", b"\xef\xbb\xbf", b"\xef\xbb", b"\n"]))
    return start + b"".join(line + draw(ENDS) for line in draw(LINES)) + draw(st.binary(max_size=6))


@given(streams(), st.lists(st.integers(0, 400), max_size=12))
def test_where_the_network_cuts_changes_nothing(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    assert decode(*pieces, flush=True) == decode(stream, flush=True)


@given(streams())
def test_one_byte_at_a_time_changes_nothing(stream: bytes) -> None:
    assert decode(*(bytes([b]) for b in stream), flush=True) == decode(stream, flush=True)


@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=1),
    ENDS,
)
def test_what_is_sent_as_data_comes_back(texts: list[str], end: bytes) -> None:
    stream = b"".join(b"data: " + text.encode() + end + end for text in texts)
    assert [event.data.decode() for event in decode(stream)] == texts


def test_what_came_ahead_of_too_large_an_event_in_the_same_bytes_is_not_lost() -> None:
    with pytest.raises(EventTooLarge) as caught:
        SSEDecoder(100).feed(b"data: small\n\ndata: " + b"x" * 200)
    assert [event.data for event in caught.value.ahead] == [b"small"]
