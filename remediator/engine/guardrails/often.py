"""Guardrails on how often and how many at once."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import compress

from remediator.engine.guardrails.question import Question, allow, key, refuse, show, wait
from remediator.model.policy import Rule
from remediator.model.quantities import Rate, format_duration
from remediator.model.verdicts import Verdict


def rate(q: Question) -> Verdict:
    """At most so many changes in any window: of this runbook, target, owner, and in all."""
    for by, name, times, limit in _rates(q):
        verdict = _over(times, limit, by, name, q.now)
        if verdict is not None:
            return verdict
    return allow("rate")


def _rates(q: Question) -> Iterator[tuple[str, str, Sequence[datetime], Rate]]:
    """Yield whose limit, its key, the times that it counts, and the limit."""
    own = [c.at for c in q.counted(q.policy) if c.runbook == q.runbook]
    for limit in q.limits.rate:
        yield f"runbook {q.runbook}", "rate", own, limit
    for by, block in q.blocks:
        counted = q.counted(block)
        target = q.plan.target.key
        for name, limits, counts in (
            ("per_runbook", block.rate.per_runbook, [c.runbook == q.runbook for c in counted]),
            ("per_target", block.rate.per_target, [c.target_key == target for c in counted]),
            ("per_owner", block.rate.per_owner, [c.owner == q.owner for c in counted]),
            ("total", block.rate.total, [True for _ in counted]),
        ):
            for limit in limits:
                yield by, f"rate.{name}", [c.at for c in compress(counted, counts)], limit


def _over(
    times: Sequence[datetime], limit: Rate, by: str, name: str, now: datetime
) -> Verdict | None:
    inside = sorted(at for at in times if now - at < limit.per)
    if len(inside) < limit.count:
        return None
    again = inside[-limit.count] + limit.per if limit.count else None
    lifted = f"waiting until {show(again)}, or " if again else ""
    each = {
        "rate.per_target": " for this target",
        "rate.per_owner": " for this owner",
        "rate.total": " in total",
    }.get(name, " for this runbook")
    return refuse(
        "rate",
        f"{len(inside)} changes in {format_duration(limit.per)}; the {by} allows {limit}{each}",
        f"{lifted}{key(by, name)}",
        by=by,
        figure=f"{len(inside)} in {format_duration(limit.per)}",
        limit=str(limit),
    )


def concurrency(q: Question) -> Verdict:
    """At most so many runs in the middle of changing something; others wait for their turn.

    A run that has begun has its place until it ends, and does not count against itself.
    """
    for by, block in q.blocks:
        going = [
            one
            for one in q.history.going_on
            if not isinstance(block, Rule) or block.name in one.rules
        ]
        for name, limit, runs in (
            (
                "per_runbook",
                block.concurrency.per_runbook,
                [one.run_id for one in going if one.runbook == q.runbook],
            ),
            ("total", block.concurrency.total, [one.run_id for one in going]),
        ):
            if limit is None or len(runs) < limit:
                continue
            return wait(
                "concurrency",
                f"{len(runs)} runs are changing something; the {by} allows {limit}"
                f"{' of this runbook' if name == 'per_runbook' else ''} at once",
                f"the end of run {', '.join(sorted(runs)[:3])}",
                by=by,
                figure=str(len(runs)),
                limit=str(limit),
            )
    return allow("concurrency")


def one_run_per_target(q: Question) -> Verdict:
    """Two runs never change one target at the same time."""
    holder = q.history.locks.get(q.plan.target.key)
    if holder is None:
        return allow("one_run_per_target")
    return wait(
        "one_run_per_target",
        f"{q.plan.target} is being changed by run {holder}",
        f"the end of run {holder}, or remediator runs cancel {holder}",
        figure=holder,
        limit="1",
    )
