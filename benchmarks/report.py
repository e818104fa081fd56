"""Writes what was found: `results/latest.json`, and docs/performance.md with its plots.

The page's text is written by hand; what is measured stands between two markers and is made anew.
A run of single rows replaces those and leaves the others as they were.
"""

import json
import platform
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import svg
from benchmarks.measure import Curve, Figure, Measured, Row

_ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def entry(row: Row, found: Measured | None, why_not: str = "") -> dict[str, Any]:
    """Return a row as it stands in the JSON file."""
    common = {"name": row.name, "what": row.what, "target": row.target}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    if found is None:
        return {**common, "value": None, "unit": row.unit, "ok": False, "why_not": why_not}
    first = found.figures[0]
    return {
        **common,
        "value": _spread(first),
        "unit": first.unit,
        "ok": all(figure.ok for figure in found.figures) and not found.missing,
        "figures": [
            {
                "what": figure.what,
                "value": _spread(figure),
                "unit": figure.unit,
                "target": str(figure.target) if figure.target else None,
                "ok": figure.ok,
            }
            for figure in found.figures
        ],
        "notes": [*found.notes, *(f"Not measured: {what}." for what in found.missing)],
        "curves": [curve.name for curve in found.curves],
        "measured_at": at,
    }


def write(
    rows: Sequence[Row],
    fresh: dict[str, dict[str, Any]],
    curves: Sequence[Curve],
    *,
    out: Path,
    page: Path | None,
) -> None:
    """Write the JSON file, in the table's order, and the page and plots where they are wanted."""
    before = {one["name"]: one for one in json.loads(out.read_text())} if out.exists() else {}
    known = {**before, **fresh}
    entries = [known.get(row.name) or entry(row, None, "not measured yet") for row in rows]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n")
    if page is None:
        return
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    for curve in curves:
        (folder / f"{curve.name}.svg").write_text(svg.plot(curve))
    text = page.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    page.write_text(f"{head}{BEGIN}\n\n{_measured(entries, folder)}\n{END}{tail}")


def _measured(entries: Sequence[dict[str, Any]], folder: Path) -> str:
    lines = [_machine(), "", "| what | must reach | median (min–max) | |", "|---|---|---|---|"]
    lines += [
        f"| {one['what']} | {one['target']} | {_cell(one)} | {'yes' if one['ok'] else 'no'} |"
        for one in entries
    ]
    for one in entries:
        lines += ["", f"### {one['what']}", "", f"`python -m benchmarks.run --only {one['name']}`"]
        if one["value"] is None:
            lines += ["", f"Not measured: {one['why_not']}."]
            continue
        lines += ["", "| | median | min–max | target | |", "|---|---|---|---|---|"]
        lines += [_figure_line(figure) for figure in one["figures"]]
        for note in one["notes"]:
            lines += ["", note]
        for name in one["curves"]:
            if (folder / f"{name}.svg").exists():
                lines += ["", f"![{name}]({folder.name}/{name}.svg)"]
    return "\n".join(lines) + "\n"


def _figure_line(figure: dict[str, Any]) -> str:
    value, unit = figure["value"], figure["unit"]
    met = "" if figure["target"] is None else "yes" if figure["ok"] else "no"
    return (
        f"| {figure['what']} | {_show(value['median'])} {unit} |"
        f" {_show(value['min'])}–{_show(value['max'])} | {figure['target'] or ''} | {met} |"
    )


def _cell(one: dict[str, Any]) -> str:
    if one["value"] is None:
        return "not measured"
    targets = [figure for figure in one["figures"] if figure["target"]]
    return "; ".join(
        f"{_show(f['value']['median'])} {f['unit']}"
        f" ({_show(f['value']['min'])}–{_show(f['value']['max'])})"
        for f in targets
    )


def _machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return (
        f"{len(names)} × {names[0] if names else platform.machine()}, "
        f"Linux {platform.release()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}."
    )


def _spread(figure: Figure) -> dict[str, float]:
    return {
        "min": _rounded(min(figure.samples)),
        "median": _rounded(figure.median),
        "max": _rounded(max(figure.samples)),
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _show(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:g}"
