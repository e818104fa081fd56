"""Advice on runbooks that load: what is allowed and yet rarely meant. Pure.

Each rule is one function, in a file for its subject; `remediator check` prints what they find. What
a code means is told in `pages/`, of which docs/findings.md is made (`catalogue`); a comment in the
file silences one finding (`ignores`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from remediator.runbook.findings import Finding
from remediator.runbook.lint import (
    commands,
    labels,
    matching,
    outcome,
    policy,
    reaching,
    reuse,
    scaling,
    sets,
    spelling,
    unused,
)
from remediator.runbook.lint.labels import NOTHING, Carried
from remediator.runbook.lint.subject import Part, Subject
from remediator.runbook.policy_file import PolicySource

__all__ = ["Carried", "Part", "Subject", "Surroundings", "lint"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known besides the runbooks.

    Args:
        policy: whose limits they are held against; None where none is known.
        carried: what labels alerts have.
    """

    policy: PolicySource | None = None
    carried: Carried = NOTHING


_RULES: Sequence[Callable[[Subject], Iterable[Finding]]] = (
    outcome.no_verify,
    outcome.no_undo,
    outcome.no_way_back,
    outcome.rung_without_verify,
    outcome.short_cooldown,
    matching.matches_anything,
    matching.never_matches,
    matching.redundant_line,
    matching.smart_quotes,
    reaching.never_starts,
    reaching.unreachable_step,
    reaching.first_rung,
    reaching.probe_never_holds,
    scaling.unbounded_scale,
    reuse.repeat_key,
    reuse.repeat_for_all,
)
_OF_EACH_DOCUMENT: Sequence[Callable[[Part], Iterable[Finding]]] = (
    matching.smart_quotes_inside,
    commands.templated_program,
    commands.templated_script,
    commands.templated_option,
    reuse.long_list,
    spelling.condition_in_braces,
    spelling.value_in_quotes,
    unused.unused_variable,
    unused.unused_parameter,
    unused.no_effect,
)


def lint(
    subjects: Sequence[Subject],
    around: Surroundings | None = None,
    fragments: Sequence[Part] = (),
) -> list[Finding]:
    """Return the advice on a set of runbooks and what they use, in the order of files and lines."""
    known = around or Surroundings()
    found: dict[Finding, None] = {}
    for part in (*subjects, *fragments):
        for each in _OF_EACH_DOCUMENT:
            found.update(dict.fromkeys(each(part)))
    for subject in subjects:
        for rule in _RULES:
            found.update(dict.fromkeys(rule(subject)))
        found.update(dict.fromkeys(labels.unknown_label(subject, known.carried)))
        found.update(dict.fromkeys(labels.no_such_alert(subject, known.carried)))
        if known.policy is not None:
            found.update(dict.fromkeys(policy.conflicts(subject, known.policy)))
    found.update(dict.fromkeys(sets.together(subjects)))
    found.update(dict.fromkeys(reuse.unused_fragment(fragments, subjects)))
    found.update(dict.fromkeys(reuse.unused_output(fragments, subjects)))
    return sorted(found)
