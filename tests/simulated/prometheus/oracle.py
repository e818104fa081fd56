"""What real ones say of a query: Prometheus 3's engine (built from its module, asked by lines of
JSON) and promtool 2; and the comparison of their answers with ours."""

import ast
import json
import math
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from remediator.runbook.promql import NotPromQL
from remediator.simulated.prometheus import Prometheus
from remediator.simulated.prometheus.evaluating import Result, Rules
from remediator.simulated.prometheus.model import PrometheusSpec
from remediator.simulated.prometheus.notation import BadSeries
from remediator.simulated.prometheus.series import BadQuery
from remediator.simulated.prometheus.vectors import Failed, Matrix, Unsupported
from remediator.testing.clock import ManualClock
from tests.servers import binaries

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Said:
    """An answer in a form to compare: what kind, and the values by labels; or an error."""

    kind: str
    values: Mapping[Labels, float | str]
    """In the order in which they were said."""
    error: str = ""


class Engine:
    """Prometheus's own engine, in a process that answers a line with a line."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [binaries.find("promqloracle")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(30) == 0
        self._process.stdout.close()

    def ask(self, series: Mapping[str, str], queries: Sequence[str], at: timedelta) -> list[Said]:
        """Evaluate queries over series that begin at 0, one sample a minute."""
        load = "".join(f"  {name} {values}\n" for name, values in series.items())
        asked = {
            "load": f"load 1m\n{load}" if load else "",
            "at_ms": round(at / timedelta(milliseconds=1)),
            "queries": list(queries),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the oracle has ended; its last words are on standard error"
        return [_said(one) for one in json.loads(line)]


def _said(one: Mapping[str, Any]) -> Said:
    if one.get("error"):
        return Said("error", {}, one["error"])
    parse: Any = str if one["kind"] == "string" else float
    return Said(
        one["kind"],
        {tuple(sorted(s["metric"].items())): parse(s["value"]) for s in one["samples"] or ()},
    )


def simulated(series: Mapping[str, str], at: timedelta, rules: Rules | None = None) -> Prometheus:
    """Make a simulated Prometheus with the same series, whose clock stands at `at`."""
    spec = PrometheusSpec.model_validate(
        {"series": [{"series": name, "values": values} for name, values in series.items()]}
    )
    clock = ManualClock(EPOCH)
    made = Prometheus(spec, clock, rules)
    clock.advance(at)
    return made


def ours(made: Prometheus, query: str) -> Said:
    """Return what the simulated one says. What it does not support is no answer."""
    try:
        result, _ = made.evaluate(query)
    except Unsupported:
        raise
    except (NotPromQL, BadQuery, BadSeries, Failed) as error:
        return Said("error", {}, str(error))
    return said(result)


def said(result: Result) -> Said:
    """Bring a result into the form to compare."""
    match result:
        case float():
            return Said("scalar", {(): result})
        case str():
            return Said("string", {(): result})
        case Matrix():
            return Said("matrix", {})
    return Said("vector", {tuple(sorted(one.labels.items())): one.value for one in result})


def same(left: float | str, right: float | str) -> bool:
    """Whether two values are the same but for rounding."""
    if isinstance(left, str) or isinstance(right, str):
        return left == right
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


def differences(expected: Said, found: Said) -> list[str]:
    """Say in what an answer differs from what the real one says."""
    if expected.kind == "vector" and found.kind == "scalar":
        found = Said("vector", found.values)  # so promtool says it
    if expected.kind == "matrix" and found.kind == "matrix":
        return []
    if expected.kind != found.kind:
        return [f"{expected} and not {found}"]
    pairs = {
        one: (expected.values.get(one, "nothing"), found.values.get(one, "nothing"))
        for one in sorted({*expected.values, *found.values})
    }
    return [
        f"{dict(one)}: {real} and not {ours}"
        for one, (real, ours) in pairs.items()
        if not same(real, ours)
    ]


_GOT = re.compile(
    r"^    expr: (?P<expr>\".*?\"), time: [0-9a-z]+,(?: err: (?P<error>.*)|\n"
    r" *exp: .*\n *got: *(?P<got>.*))$",
    re.MULTILINE,
)
_SAMPLE = re.compile(r"\{(?P<labels>(?:[^\"{}]|\"(?:\\.|[^\"\\])*\")*)\} (?P<value>\S+?)(?:, |$)")
_LABEL = re.compile(r'(?P<name>\w+)=(?P<value>"(?:\\.|[^"\\])*")')


def promtool(
    series: Mapping[str, str], queries: Sequence[str], at: timedelta, folder: Path
) -> list[Said]:
    """Ask promtool for many values in one run: it tells what it got where that is not expected."""
    never = [{"labels": "never", "value": 1}]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {"expr": query, "eval_time": f"{round(at.total_seconds())}s", "exp_samples": never}
            for query in queries
        ],
    }
    file = folder / "asked.yaml"
    file.write_text(json.dumps({"rule_files": [], "tests": [test]}))
    ran = subprocess.run(
        [binaries.find("promtool"), "test", "rules", file],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    told = ran.stdout + ran.stderr
    found = list(_GOT.finditer(told))
    assert [ast.literal_eval(one["expr"]) for one in found] == list(queries), told
    return [_got(one) for one in found]


def _got(one: re.Match[str]) -> Said:
    if one["error"]:
        return Said("error", {}, one["error"])
    values: dict[Labels, float | str] = {}
    for sample in _SAMPLE.finditer("" if one["got"] == "nil" else one["got"]):
        labels = _LABEL.findall(sample["labels"])
        key = tuple(sorted((name, ast.literal_eval(value)) for name, value in labels))
        values[key] = float(sample["value"])
    return Said("vector", values)
