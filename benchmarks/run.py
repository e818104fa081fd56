"""`python -m benchmarks.run`: measure every row, or those that are named, and write what came out.

Exits 0 when everything that was to be measured was, whatever the figures say; 1 when a row broke.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import postgres, report
from benchmarks.measure import Bench, Curve, Measured, NotMeasured, Row
from benchmarks.table import ROWS

_ROOT = Path(__file__).resolve().parents[1]
_NAMES = [row.name for row in ROWS]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write, and say how it went."""
    given = _parser().parse_args(arguments)
    if given.list:
        print("\n".join(f"{row.name:18} {row.what}" for row in ROWS))
        return 0
    fresh: dict[str, dict[str, Any]] = {}
    curves: list[Curve] = []
    broken = False
    for row in ROWS:
        if given.only and row.name not in given.only:
            continue
        print(f"{row.name}: {row.what}", flush=True)
        began = time.monotonic()
        try:
            found = _measure(row, quick=given.quick)
        except NotMeasured as error:
            fresh[row.name] = report.entry(row, None, str(error))
            print(f"  not measured: {error}", flush=True)
            continue
        except Exception:
            traceback.print_exc()
            fresh[row.name] = report.entry(row, None, "the measurement broke")
            broken = True
            continue
        fresh[row.name] = report.entry(row, found)
        curves += found.curves
        _say(found, time.monotonic() - began)
    page = None if given.quick or given.no_page else given.page
    report.write(ROWS, fresh, curves, out=given.out, page=page)
    return 1 if broken else 0


def _measure(row: Row, *, quick: bool) -> Measured:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="remediator-bench-")))
        url = why_not = ""
        if row.postgres != "no":
            try:
                url = stack.enter_context(postgres.database())
            except NotMeasured as error:
                if row.postgres == "only":
                    raise
                why_not = str(error)
        return row.measure(Bench(folder, quick, url, why_not))


def _say(found: Measured, took_s: float) -> None:
    for figure in found.figures:
        met = "" if figure.target is None else f"  {figure.target}: {'yes' if figure.ok else 'NO'}"
        low, high = min(figure.samples), max(figure.samples)
        print(f"  {figure.what}: {figure.median:,.4g} {figure.unit} ({low:,.4g}–{high:,.4g}){met}")
    for what in found.missing:
        print(f"  NOT MEASURED: {what}")
    load = os.getloadavg()[0]
    print(f"  ({took_s:.0f} s; load average of the machine at the end: {load:.1f})", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--only", action="append", choices=_NAMES, help="a row; repeatable")
    parser.add_argument("--quick", action="store_true", help="show that it works; no page")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("--no-page", action="store_true", help="leave docs/performance.md")
    parser.add_argument(
        "--out", type=Path, default=_ROOT / "benchmarks/results/latest.json", help="the JSON file"
    )
    parser.add_argument("--page", type=Path, default=_ROOT / "docs/performance.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
