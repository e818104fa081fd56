"""What authors write about Prometheus in a simulated world: models, and nothing else.

A part of `simulated.spec`; `server` brings it to life.
"""

from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field

from remediator.model.limits import Frozen
from remediator.model.quantities import Duration
from remediator.simulated.prometheus import notation

MOST_SERIES = 1_000
"""Series in one world."""


def _series(text: str) -> str:
    notation.parse_labels(text)
    return text


def _values(text: str) -> str:
    notation.parse_values(text)
    return text


class SeriesSpec(Frozen):
    """One series, as in promtool's unit tests."""

    series: Annotated[str, AfterValidator(_series), Field(examples=['up{job="api"}'])]
    """Name and labels."""
    values: Annotated[
        str, AfterValidator(_values), Field(examples=["1x5 0x20", "0+10x100", "1 1 _ stale"])
    ]
    """Its samples in promtool's notation, one at each interval."""

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """What makes two series the same: name and labels, in whatever order they are written."""
        return tuple(sorted(notation.parse_labels(self.series).items()))


class PrometheusSpec(Frozen):
    """What Prometheus holds."""

    interval: Annotated[Duration, Field(gt=timedelta())] = timedelta(minutes=1)
    """Between two samples."""
    series: Annotated[tuple[SeriesSpec, ...], Field(max_length=MOST_SERIES)] = ()
    """The first sample is there when the virtual clock begins; in a change of the world, at the
    moment of the change."""
