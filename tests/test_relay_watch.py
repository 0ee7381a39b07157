"""Who is gone, by beats and by one clock alone."""

import subprocess
import sys

from conversations.relay import watch
from conversations.relay.watch import Watch


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def looks(watching: Watch, clock: Clock, *beats: int, every: float = 2.0) -> list[set[str]]:
    """What is found when "other" shows these beats at regular looks."""
    found = []
    for number in beats:
        clock.now += every
        found.append(watching.gone({"other": number, "me": int(clock.now)}))
    return found


def test_who_beats_is_never_gone() -> None:
    clock = Clock()
    assert not any(looks(Watch(10, "me", clock), clock, *range(50)))


def test_who_shows_the_same_number_for_too_long_is_gone() -> None:
    clock = Clock()
    found = looks(Watch(10, "me", clock), clock, 7, 7, 7, 7, 7, 7)
    assert found == [set(), set(), set(), set(), set(), {"other"}]


def test_one_beat_in_time_begins_a_new_wait() -> None:
    clock = Clock()
    assert not any(looks(Watch(10, "me", clock), clock, 7, 7, 7, 7, 8, 8, 8, 8, 8))


def test_whoever_was_away_itself_gives_the_others_their_whole_time_again() -> None:
    """A machine that slept wakes up: nobody could beat meanwhile."""
    clock = Clock()
    watching = Watch(10, "me", clock)
    looks(watching, clock, 7)
    clock.now += 3600
    assert watching.gone({"other": 7}) == set()
    assert not any(looks(watching, clock, 7, 7, 7, 7))
    assert looks(watching, clock, 7) == [{"other"}]


def test_what_looking_takes_is_nobodys_silence() -> None:
    clock = Clock()
    watching = Watch(10, "me", clock)
    watching.gone({"other": 7})
    for _look in range(2):
        asked = clock.now + 2
        clock.now = asked + 4  # the database takes its time, and the beats are from its end
        assert watching.gone({"other": 7}, asked) == set()


def test_while_not_even_our_own_beats_arrive_nobody_is_gone() -> None:
    """A database that refuses to be written silences all relays, and lets them write again in any
    order."""
    clock = Clock()
    watching = Watch(10, "me", clock)
    for _look in range(20):
        clock.now += 2
        assert watching.gone({"other": 7, "me": 7}) == set()
    clock.now += 2
    assert watching.gone({"other": 7, "me": 8}) == set()  # ours came through first
    assert not any(looks(watching, clock, 7, 7, 7))


def test_who_died_meanwhile_is_found_once_beats_arrive_again() -> None:
    clock = Clock()
    watching = Watch(10, "me", clock)
    for _look in range(20):
        clock.now += 2
        watching.gone({"other": 7, "me": 7})
    assert looks(watching, clock, 7, 7, 7, 7, 7, 7)[-1] == {"other"}


def test_machines_of_one_name_are_told_apart() -> None:
    mine = watch.own_name("abc")
    host, _machine, space = mine.rsplit(":", 2)[0].split("/")
    assert not watch.is_dead(f"{host}/00000000/{space}:4190000:abc")


def test_a_process_of_this_machine_that_is_no_more_is_dead_at_once() -> None:
    mine = watch.own_name("abc")
    here, _pid, _nonce = mine.rsplit(":", 2)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert watch.is_dead(f"{here}:{ended.pid}:abc")
    assert watch.is_dead(mine)  # this number, and none of our relays: an earlier process had it
    assert not watch.is_dead(f"{here}:1:abc")


def test_of_another_machine_nothing_is_known() -> None:
    assert not watch.is_dead("elsewhere:999999:abc")
    assert not watch.is_dead("a name of any kind")
