"""Why a runbook is not for an alert, in words: for tests in which nothing began. Pure."""

from collections.abc import Mapping

from remediator.runbook.runbook import Runbook


def why(runbook: Runbook, labels: Mapping[str, str]) -> str:
    """Return which matcher of each line does not fit, or that it is not by matchers; empty where a
    line fits and there is no condition."""
    failing = []
    for line in runbook.matchers:
        first = next((one for one in line if not one.matches(labels)), None)
        if first is None:
            if runbook.when != "firing":
                return "it is for alerts that resolve (when: resolved)"
            return "its if is false" if runbook.condition is not None else ""
        value = labels.get(first.name)
        has = f'"{value}"' if value is not None else "not there"
        failing.append(f"{first} does not fit, {first.name} is {has}")
    return "; ".join(dict.fromkeys(failing))
