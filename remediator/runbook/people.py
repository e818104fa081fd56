"""Do the people whom runbooks and settings name exist, and can a quorum be met? Pure.

Called by `app` when runbooks are loaded, and by `remediator check` with a settings file. A question
that nobody may answer and a call that reaches nobody would show only when they are needed.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from remediator.model.oncall import OnCall
from remediator.model.policy import ApprovalTerms
from remediator.runbook.findings import Finding, Severity, did_you_mean
from remediator.runbook.policy_file import PolicySource
from remediator.runbook.runbook import Runbook
from remediator.settings import Settings

_SHAPES = {
    "slack": (re.compile(r"[UW][A-Z0-9]+"), "slack:U0123, the user's id"),
    "api": (re.compile(r"[a-z0-9][a-z0-9._-]*"), "api:alice, the name of an API token"),
    "pagerduty": (re.compile(r"[A-Z0-9]+"), "pagerduty:PABC123, the user's id"),
    "slack-group": (re.compile(r"S[A-Z0-9]+"), "slack-group:S0123, the user group's id"),
    "schedule": (re.compile(r".+"), "schedule:NAME, of schedules in the settings"),
}
_NO_TERMS = ApprovalTerms()
_IDENTITIES = ("slack", "api", "pagerduty")
_PERSON = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Names:
    """The names that there are.

    Args:
        groups: approver groups, name → names of the members.
        people: person → identities.
        schedules: name → what its file says, None where it is kept elsewhere.
        user_groups: whether Slack can be asked for its user groups.
    """

    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    people: Mapping[str, Sequence[str]] = field(default_factory=dict)
    schedules: Mapping[str, OnCall | None] = field(default_factory=dict)
    user_groups: bool = True

    @property
    def all(self) -> tuple[str, ...]:
        """Every name that may stand where approvers do, for a hint."""
        return (*self.groups, *self.people, *(f"schedule:{name}" for name in self.schedules))

    def flat(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the names with each group's members in its place; groups do not nest."""
        return tuple(one for name in names for one in self.groups.get(name, (name,)))

    def most(self, names: Sequence[str]) -> float:
        """Return how many different people these names can stand for at most."""
        person = {identity: who for who, ids in self.people.items() for identity in ids}
        single: set[str] = set()
        more = 0.0
        for name in dict.fromkeys(self.flat(names)):
            prefix, _, rest = name.partition(":")
            if prefix == "slack-group":
                return float("inf")
            if prefix == "schedule":
                schedule = self.schedules.get(rest)
                more += schedule.most_at_once if schedule else float("inf")
            else:
                single.add(person.get(name, name))
        return len(single) + more


def check(
    runbooks: Sequence[Runbook],
    *,
    names: Names,
    default_approvers: Sequence[str],
    notifiers: Collection[str],
    policy: ApprovalTerms = _NO_TERMS,
) -> Iterator[Finding]:
    """Yield what keeps a runbook's people from being asked or called.

    Args:
        names: those of the settings.
        default_approvers: who decides where a runbook names nobody.
        notifiers: names of those that are configured.
        policy: what the policy asks of every approval.
    """
    for runbook in runbooks:
        named = runbook.approval.approvers
        for number, name in enumerate(named):
            if (fault := unknown(name, names)) is not None:
                yield _error(runbook, f"approval.approvers.{number}", "unknown-approver", *fault)
        asked = tuple(named) or policy.approvers or tuple(default_approvers)
        most = names.most(asked)
        quorum = max(runbook.approval.quorum, policy.quorum or 1)
        if most < quorum:
            text = f"{quorum} people must approve, and only {most:g} may"
            yield _error(runbook, "approval.quorum", "quorum", text, "")
        for number, call in enumerate(runbook.on_failure.escalate):
            for name in call.to:
                if name not in notifiers:
                    text = f'the notifier "{name}" is not configured, so nobody would be called'
                    hint = did_you_mean(name, notifiers) or "configure it in the settings"
                    path = f"on_failure.escalate.{number}"
                    yield _error(runbook, path, "unconfigured-notifier", text, hint)


def unknown(name: str, names: Names) -> tuple[str, str] | None:
    """Return what is wrong with an approver's name and what would be right, or None."""
    if name in names.groups or name in names.people or name == "local":
        return None
    prefix, colon, rest = name.partition(":")
    if not colon:
        text = (
            f'"{name}" is no group or person of the settings, and no identity such as '
            "slack:U0123 or api:alice"
        )
        return text, did_you_mean(name, names.all)
    shape = _SHAPES.get(prefix)
    if shape is None:
        text = f'"{name}": nobody is known by "{prefix}:"'
        return text, did_you_mean(prefix, _SHAPES) or f"write one of {', '.join(_SHAPES)}"
    if not shape[0].fullmatch(rest):
        return f'"{name}" is none such', f"write it like {shape[1]}"
    if prefix == "schedule" and rest not in names.schedules:
        return f'"{rest}" is no schedule of the settings', did_you_mean(rest, names.schedules)
    if prefix == "slack-group" and not names.user_groups:
        return f'"{name}": Slack is not configured, so nobody could be asked', "set slack.bot_token"
    return None


def faults(settings: Settings, names: Names) -> Iterator[str]:
    """Yield what is wrong with the people of the settings, each line with its key."""
    yield from _faults_of_people(names)
    for group, members in names.groups.items():
        if not members:
            yield f"groups.{group}: nobody is in it; name somebody, or leave the group out"
        if ":" in group or group == "local":
            # Whoever names the identity would mean the group.
            yield f"groups.{group}: an identity is called so; name it like sre or team-shop"
        if group in names.people:
            yield f"groups.{group}: a person is called so too; one of the two needs another name"
        yield from _bad_names(f"groups.{group}", members, names, in_group=True)
    yield from _bad_names("default_approvers", settings.default_approvers, names)
    for role, holders in settings.roles:
        yield from _bad_names(f"roles.{role}", holders, names)
        for number, name in enumerate(holders):
            if name.startswith("api:") or name == "local":
                yield (
                    f"roles.{role}.{number}: {name} has the role of its token, in api.tokens"
                    if name != "local"
                    else f"roles.{role}.{number}: local is an admin while no token is configured"
                )
    for name, schedule in names.schedules.items():
        if schedule is not None:
            for who in schedule.names:
                if (fault := unknown(who, names)) is not None:
                    yield _line(f"schedules.{name}.file", *fault)


def of_policy(source: PolicySource, names: Names) -> Iterator[Finding]:
    """Yield the names in a policy that nobody has, and quorums that nobody can meet, where they
    stand."""
    policy = source.policy
    blocks = [("approval", policy.approval)]
    blocks += [(f"rules.{n}.approval", rule.approval) for n, rule in enumerate(policy.rules)]
    for key, terms in blocks:
        most = names.most(terms.approvers)
        if terms.approvers and most < (terms.quorum or 1):
            text = f"{terms.quorum} people must approve, and only {most:g} may"
            at = source.place(f"{key}.quorum")
            yield Finding(
                source.file or "policy", *at, Severity.ERROR, "quorum", f"{key}.quorum: {text}"
            )
    lists = [("approval.approvers", policy.approval.approvers)]
    lists += [
        (f"rules.{number}.approval.approvers", rule.approval.approvers)
        for number, rule in enumerate(policy.rules)
    ]
    lists.append(("override.people", policy.override.people))
    for key, given in lists:
        for line in _bad_names(key, given, names):
            at = source.place(line.partition(":")[0])
            file = source.file or "policy"
            yield Finding(file, *at, Severity.ERROR, "unknown-approver", line)


def _faults_of_people(names: Names) -> Iterator[str]:
    owner: dict[str, str] = {}
    for person, identities in names.people.items():
        if not _PERSON.fullmatch(person) or person == "local":
            yield f"people.{person}: call people like alice or j.doe: small letters, digits, . _ -"
        if not identities:
            yield f"people.{person}: has no identity; write one like slack:U0123 or api:alice"
        for number, identity in enumerate(identities):
            key = f"people.{person}.{number}"
            prefix = identity.partition(":")[0]
            if prefix not in _IDENTITIES:
                yield f"{key}: {identity!r} is no identity such as slack:U0123 or api:alice"
            elif (fault := unknown(identity, names)) is not None:
                yield _line(key, *fault)
            other = owner.setdefault(identity, person)
            if other != person:
                yield f"{key}: {identity} is {other} already; nobody is two people"


def _bad_names(
    key: str, given: Sequence[str], names: Names, *, in_group: bool = False
) -> Iterator[str]:
    for number, name in enumerate(given):
        if in_group and name in names.groups and name not in names.people:
            yield f"{key}.{number}: {name} is a group, and groups do not nest; name its members"
        elif (fault := unknown(name, names)) is not None:
            yield _line(f"{key}.{number}", *fault)


def _line(key: str, text: str, hint: str) -> str:
    return f"{key}: {text}" + (f"; {hint}" if hint else "")


def _error(runbook: Runbook, path: str, code: str, text: str, hint: str) -> Finding:
    parts = path.split(".")
    while parts and ".".join(parts) not in runbook.positions:
        parts.pop()
    line, column = runbook.positions.get(".".join(parts), (runbook.line, 1))
    return Finding(
        runbook.file, line, column, Severity.ERROR, code, f"{runbook.name}: {text}", hint
    )
