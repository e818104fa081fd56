"""Rules on how far a change may go."""

from collections.abc import Iterator

from remediator.runbook.findings import Finding
from remediator.runbook.lint.subject import Subject


def unbounded_scale(subject: Subject) -> Iterator[Finding]:
    """It grows by a step each time, and nothing of its own ends that."""
    for step in subject.changes:
        bounded = {"by", "max"} <= set(step.operation.Params.model_fields)
        by = step.parameters.get("by")
        if not bounded or by is None:
            continue
        down = isinstance(by, int | str) and str(by).startswith("-")
        bound = "min" if down and "min" in step.operation.Params.model_fields else "max"
        if bound not in step.parameters:
            yield subject.of_step(
                step,
                ("with",),
                "unbounded-scale",
                "it shrinks without a bound of its own"
                if bound == "min"
                else "it grows without a bound of its own",
                f"add {bound}: …",
                key=True,
            )
