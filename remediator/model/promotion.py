"""Earned trust: which mode a runbook has earned, what is missing, and what to propose. Pure.

What a runbook did by itself counts like what people approved, and a plan that was put before people
like one that was only put on record: otherwise the trust of a runbook that acts by itself would
fade because nobody is asked any more. Trust that is not used does fade, with the bar's `within`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from remediator.model.canonical import JSONObject
from remediator.model.evidence import Evidence
from remediator.model.limits import Mode
from remediator.model.policy import Trust
from remediator.model.quantities import Share, format_duration


@dataclass(frozen=True, slots=True)
class Track:
    """How a runbook, as it stands, did within each bar's time."""

    to_approve: Evidence
    to_auto: Evidence

    @property
    def shown(self) -> int:
        """Plans that were put on record or before people."""
        return self.to_approve.observed + self.to_approve.asked + self.to_approve.automatic


@dataclass(frozen=True, slots=True)
class Bar:
    """One thing that a mode asks for: a sentence with the figure and the limit."""

    text: str
    met: bool

    def to_json(self) -> JSONObject:
        """Return it as JSON for the API."""
        return {"text": self.text, "met": self.met}


def bars(wanted: Mode, track: Track, trust: Trust) -> tuple[Bar, ...]:
    """Return what this mode asks for, met or not; `observe` asks for nothing."""
    if wanted is Mode.OBSERVE:
        return ()
    if wanted is Mode.APPROVE:
        need = trust.to_approve
        text = f"{track.shown} of {need.observed} plans shown within {format_duration(need.within)}"
        return (Bar(text, track.shown >= need.observed),)
    asked, found = trust.to_auto, track.to_auto
    within = format_duration(asked.within)
    runs = found.approved + found.automatic
    return (
        Bar(f"{runs} of {asked.approved} approved runs within {within}", runs >= asked.approved),
        Bar(
            f"{_percent(found.success)} of them helped, {asked.success} are asked for",
            # A bar of no runs at all asks for no success either.
            found.success >= asked.success.fraction or runs == asked.approved == 0,
        ),
        Bar(
            f"{found.denied} denied within {within}, at most {asked.denied} allowed",
            found.denied <= asked.denied,
        ),
    )


def earned(track: Track, trust: Trust) -> Mode:
    """Return the highest mode that the evidence is enough for."""
    for mode in (Mode.AUTO, Mode.APPROVE):
        if met(bars(mode, track, trust)):
            return mode
    return Mode.OBSERVE


def met(asked: Sequence[Bar]) -> bool:
    """Whether everything that is asked for is there."""
    return all(bar.met for bar in asked)


def missing(wanted: Mode, track: Track, trust: Trust) -> str:
    """Return in one sentence what is missing for a mode; empty where nothing is."""
    return "; ".join(bar.text for bar in bars(wanted, track, trust) if not bar.met)


def following(mode: Mode) -> Mode | None:
    """Return the mode that may be proposed next; one step at a time."""
    return {Mode.OBSERVE: Mode.APPROVE, Mode.APPROVE: Mode.AUTO}.get(mode)


def looks_back_to(trust: Trust, now: datetime) -> tuple[datetime, datetime]:
    """Return from when on evidence counts: for `approve`, for `auto`."""
    return now - trust.to_approve.within, now - trust.to_auto.within


def _percent(fraction: float) -> str:
    # Rounded down: 99.96 % is not «all of them».
    return str(Share(int(fraction * 1000) / 1000))
