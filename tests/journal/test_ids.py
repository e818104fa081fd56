"""Proves that ids sort in the order in which they were made, whatever the clock does."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from remediator.journal.ids import ALPHABET, LENGTH, Ids, approval_id
from tests.journal.factories import HandClock


@given(st.lists(st.integers(-5000, 5000), max_size=50))
def test_ids_only_grow(jumps_ms: list[int]) -> None:
    clock = HandClock()
    ids = Ids(clock)
    made = []
    for jump_ms in jumps_ms:
        clock.time += timedelta(milliseconds=jump_ms)
        made += [ids.new(), ids.new()]
    assert made == sorted(set(made))
    assert all(len(one) == LENGTH and set(one) <= set(ALPHABET) for one in made)


def test_ids_begin_with_their_time() -> None:
    clock = HandClock()
    early = Ids(clock).new()
    clock.time += timedelta(milliseconds=1)
    late = Ids(clock).new()
    assert early[:10] < late[:10]


def test_ids_of_one_moment_end_differently() -> None:
    ids = Ids(HandClock())
    assert len({ids.new()[-6:] for _ in range(100)}) > 95


def test_approval_ids_can_not_be_guessed() -> None:
    made = {approval_id() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 22 for one in made)
