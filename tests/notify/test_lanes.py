"""How the lanes of a block are named and put together for people."""

from remediator.plugin import lanes
from remediator.plugin.lanes import Lanes


def put_together(*ids: str, apart: str = "") -> list[str]:
    found = lanes.grouped(ids, id_of=str, apart=lambda one: one == apart)
    return [one.name if isinstance(one, Lanes) else one for one in found]


def test_lanes_of_a_block_are_one_where_there_are_many() -> None:
    ids = ["look", *(f"restarts[{n}]" for n in range(5)), "check"]
    assert put_together(*ids) == ["look", "restarts[0–4]", "check"]


def test_steps_of_lanes_are_put_together_step_by_step() -> None:
    ids = [f"drain[{n}].{step}" for n in range(4) for step in ("look", "evict")]
    assert put_together(*ids) == ["drain[0–3].look", "drain[0–3].evict"]


def test_a_few_lanes_stay_as_they_are() -> None:
    assert put_together("a[0]", "a[1]", "a[2]") == ["a[0]", "a[1]", "a[2]"]


def test_what_stands_apart_keeps_its_place() -> None:
    ids = [f"a[{n}]" for n in range(6)]
    assert put_together(*ids, apart="a[2]") == ["a[0–1, 3–5]", "a[2]"]


def test_names_of_lanes_are_ranges() -> None:
    assert lanes.names(["x", "a[3]", "a[0]", "a[1]", "b[2].look"]) == [
        "x",
        "a[0–1, 3]",
        "b[2].look",
    ]
