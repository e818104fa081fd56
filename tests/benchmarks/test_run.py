"""`make bench` measures every row against real processes and writes what a reader expects."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import run, table
from benchmarks.measure import Curve, Figure, Measured, Row, Target
from benchmarks.report import BEGIN, END, entry, write
from benchmarks.svg import plot

NAMES = [row.name for row in table.ROWS]
_KEYS = {"name", "value", "unit", "target", "ok"}


_ALONE = [row.name for row in table.ROWS if row.postgres == "no"]
_WITH_POSTGRES = [row.name for row in table.ROWS if row.postgres != "no"]


@pytest.mark.parametrize(
    "name",
    [*_ALONE, *(pytest.param(name, marks=pytest.mark.servers) for name in _WITH_POSTGRES)],
)
def test_each_row_runs_by_itself(name: str, tmp_path: Path) -> None:
    out = tmp_path / "latest.json"
    assert run.main(["--quick", "--only", name, "--out", str(out)]) == 0
    entries = json.loads(out.read_text())
    assert [one["name"] for one in entries] == NAMES
    (mine,) = [one for one in entries if one["name"] == name]
    assert mine.keys() >= _KEYS
    value = mine["value"]
    assert value["min"] <= value["median"] <= value["max"]
    assert isinstance(mine["ok"], bool)
    others = [one for one in entries if one["name"] != name]
    assert all(one["value"] is None and one["ok"] is False and one["why_not"] for one in others)


def measured(*samples: float) -> Measured:
    return Measured(
        [Figure("speed", samples, "/s", Target(at_least=2)), Figure("plain", [1.0], "ms")],
        [Curve("growth", "Growth", "rows", "ms", {"one": [(1, 2.0), (1000, 3.0)]})],
        ["A note."],
    )


def a_row(name: str) -> Row:
    return Row(name, f"what {name} is", "≥ 2/s", lambda _: measured(1), "/s")


def test_an_entry_has_spread_target_and_verdict() -> None:
    good, bad = entry(a_row("a"), measured(3, 1, 2)), entry(a_row("a"), measured(1, 1.5, 9))
    assert good["value"] == {"min": 1, "median": 2, "max": 3}
    assert (good["ok"], bad["ok"]) == (True, False)
    assert [figure["target"] for figure in good["figures"]] == ["≥ 2", None]


def test_a_row_with_something_missing_is_not_met() -> None:
    whole = measured(3)
    partly = Measured(whole.figures, missing=["on PostgreSQL: it is not installed"])
    assert entry(a_row("a"), whole)["ok"] is True
    assert entry(a_row("a"), partly)["ok"] is False
    assert entry(a_row("a"), partly)["notes"] == [
        "Not measured: on PostgreSQL: it is not installed."
    ]


def test_a_later_run_of_one_row_leaves_the_others(tmp_path: Path) -> None:
    rows = [a_row("a"), a_row("b")]
    out, page = tmp_path / "latest.json", tmp_path / "performance.md"
    page.write_text(f"# By hand\n\n{BEGIN}\nold\n{END}\n\nBy hand, too.\n")
    first = {row.name: entry(row, measured(3)) for row in rows}
    write(rows, first, measured(3).curves, out=out, page=page)
    write(rows, {"b": entry(rows[1], measured(1))}, [], out=out, page=page)
    assert [one["ok"] for one in json.loads(out.read_text())] == [True, False]
    text = page.read_text()
    assert text.startswith("# By hand\n")
    assert text.endswith("By hand, too.\n")
    assert "old" not in text
    assert "| what a is | ≥ 2/s | 3 /s (3–3) | yes |" in text
    assert "| what b is | ≥ 2/s | 1 /s (1–1) | no |" in text
    assert "![growth](performance/growth.svg)" in text


def test_a_plot_is_a_drawing_with_every_line_and_its_name() -> None:
    lines = {"one": [(1, 2.0), (10, 20.0)], "<two>": [(1, 1.0), (10, 1.0)]}
    drawing = ET.fromstring(plot(Curve("c", "Title", "x", "y", lines)))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    assert len(drawing.findall(f"{space}polyline")) == 2
    texts = [element.text for element in drawing.iter(f"{space}text")]
    assert {"Title", "one", "<two>", "x", "y"} <= set(texts)
    for circle in drawing.iter(f"{space}circle"):
        assert 80 <= float(circle.get("cx", "")) <= 700
        assert 50 <= float(circle.get("cy", "")) <= 340
