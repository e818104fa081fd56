"""`prometheus.query`: an instant query, and whether its value is as expected."""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from remediator.clients.errors import ClientError, Unavailable
from remediator.clients.prometheus import Instant, PrometheusClient, Sample
from remediator.model.canonical import JSON
from remediator.model.plans import Result
from remediator.plugin.action import ActionParams, Permanent, Permission, Probe, Temporary
from remediator.plugin.context import Context

# In the result that goes into the journal; `count` says how many there were.
MAX_SERIES = 100
_NUMBER = r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[Ii]nf)"
_EXPECT = re.compile(rf"value\s*(<=|>=|==|!=|<|>)\s*({_NUMBER})|(not\s+)?empty")
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`value > 0.5`. NaN meets no comparison, not even `!=`: it is no measurement."""

    sign: str
    limit: float

    def holds(self, value: float) -> bool:
        """Whether one value is as expected."""
        return not math.isnan(value) and _COMPARE[self.sign](value, self.limit)


@dataclass(frozen=True, slots=True)
class Presence:
    """`empty` or `not empty`: whether there are series at all."""

    empty: bool


Expectation = Comparison | Presence


def parse_expectation(text: str) -> Expectation:
    """Parse `value > 0.5` (<, <=, >, >=, ==, !=), `empty` or `not empty`.

    Raises:
        ValueError: it is none of these.
    """
    match = _EXPECT.fullmatch(text.strip())
    if not match:
        raise ValueError(
            f"{text[:80]!r} is no expectation; write a comparison like value > 0.5, "
            "or empty, or not empty"
        )
    sign, limit, negated = match.groups()
    return Comparison(sign, float(limit)) if sign else Presence(empty=not negated)


def _checked(text: str) -> str:
    parse_expectation(text)
    return text


class Query(Probe["Query.Params"]):
    """Asks the Prometheus of the settings."""

    name = "prometheus.query"
    summary = "Evaluate a PromQL query now, and compare its value."
    example = """
query: >-
  histogram_quantile(0.99, sum by (le)
  (rate(http_request_duration_seconds_bucket{namespace="shop"}[5m])))
expect: value > 0.5
"""
    Output: ClassVar[dict[str, str]] = {
        "value": "dyn",
        "count": "int",
        "series": "list(dyn)",
        "warnings": "list(string)",
    }

    class Params(ActionParams):
        """What to ask, and what to expect."""

        query: Annotated[str, Field(min_length=1, max_length=20_000)]
        """PromQL that gives numbers of now."""
        expect: Annotated[str, AfterValidator(_checked)] | None = None
        """`value > 0.5` (or <, <=, >=, ==, !=), `empty`, or `not empty`. No value meets a
        comparison when there are no series. Default: any answer will do."""
        any: bool = False
        """Whether one of several series is enough to meet a comparison. Default: all must."""
        partial: Literal["refuse", "allow"] = "refuse"
        """Whether an answer with warnings may be as expected: it may lack series, as when a store
        of Thanos did not answer."""

    def permissions(self, params: Params) -> Sequence[Permission]:
        """Return what a proxy in front of Prometheus must allow."""
        return [Permission("prometheus", "query", ("get",))]

    async def probe(self, params: Params, ctx: Context) -> Result:
        """Ask once."""
        try:
            instant = await ctx.client(PrometheusClient).query(params.query)
        except Unavailable as error:
            raise Temporary(str(error), error.after) from None
        except ClientError as error:
            raise Permanent(str(error)) from None
        ok, message = judge(params.expect, instant.samples, any_will_do=params.any)
        if instant.warnings:
            warning = instant.warnings[0][:200]
            refused = ok and params.expect is not None and params.partial == "refuse"
            lifted = "; it may not be whole (partial: allow lifts this)" if refused else ""
            message = f"{message} (Prometheus warns: {warning}{lifted})"
            ok = ok and not refused
        return Result(message, ok=ok, changed=False, output=_output(instant))


def judge(expect: str | None, samples: Sequence[Sample], *, any_will_do: bool) -> tuple[bool, str]:
    """Say whether samples are as expected, with a sentence that holds the deciding figure."""
    expectation = parse_expectation(expect) if expect else None
    series = f"{len(samples)} series" if len(samples) != 1 else f"1 series, {_shown(samples[0])}"
    if expectation is None:
        return True, f"the query gives {series}"
    if isinstance(expectation, Presence):
        ok = expectation.empty == (not samples)
        return ok, f"the query gives {series}, as expected" if ok else (
            f"the query gives {series}; expected {expect}"
        )
    if not samples:
        return False, f"the query gives no series, so there is no value; expected {expect}"
    good = [s for s in samples if expectation.holds(s.value)]
    bad = [s for s in samples if not expectation.holds(s.value)]
    ok = bool(good) if any_will_do else not bad
    decides = (good if ok else bad)[0]
    if len(samples) == 1:
        of = ""
    else:
        of = f" in {len(good if ok else bad)} of {len(samples)} series, such as {_labels(decides)}"
    figure = f"value is {_number(decides.value)}{of}"
    return ok, f"{figure}, as expected ({expect})" if ok else f"{figure}; expected {expect}"


def _output(instant: Instant) -> dict[str, JSON]:
    samples = instant.samples
    return {
        # Of the only series. JSON has no NaN and no infinity: None, and `text` says which.
        "value": _finite(samples[0].value) if len(samples) == 1 else None,
        "count": len(samples),
        "series": [
            {
                "labels": dict(sample.labels),
                "value": _finite(sample.value),
                "text": _number(sample.value),
            }
            for sample in samples[:MAX_SERIES]
        ],
        "warnings": list(instant.warnings[:10]),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float) -> str:
    """Write a number as Prometheus does: NaN, +Inf, -Inf; else its shortest form."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return f"{value:.15g}"


def _labels(sample: Sample) -> str:
    pairs = ", ".join(f"{k}={v!r}" for k, v in sorted(sample.labels.items()))
    return f"{{{pairs}}}"[:200]


def _shown(sample: Sample) -> str:
    return f"value {_number(sample.value)}"
