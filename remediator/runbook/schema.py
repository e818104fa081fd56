"""The runbook language as pydantic models: what may stand where.

Expressions are still text here; `compile` turns them into checked code. `json_schema` makes of them
what editors read.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from remediator.model.escalation import Calls
from remediator.model.limits import Approval, Frozen, Limits, Mode
from remediator.model.quantities import Duration
from remediator.model.repeats import RepeatMode
from remediator.model.silences import LONGEST, MOST_LINES
from remediator.runbook.arguments import ParameterSpec

EXPRESSION_PATTERN = r"\$\{\{.*\}\}"


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("it must be longer than 0s")
    return value


Span = Annotated[Duration, AfterValidator(_positive)]
"""A duration that is not empty."""

Name = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63, examples=["api-latency-scale-out"])
]
StepId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=63, examples=["scale"])]
VarName = Annotated[str, Field(pattern=r"^[a-z][a-zA-Z0-9_]*$", max_length=63)]
Condition = Annotated[str | None, Field(alias="if", examples=['labels.namespace == "shop"'])]
With = Annotated[Mapping[str, Any], Field(alias="with")]

MOST_STEPS = 50
"""Written in one document."""
MOST_STEPS_IN_ALL = 200
"""What a runbook comes to, used documents and all lanes counted: more than any incident needs, and
still a plan that a person can read and a worker holds at once."""
MOST_LANES = 50
"""Of one `for_each`: what is longer is no repair of one incident."""
MOST_AT_ONCE = 10
"""Lanes under way at a time: each holds a worker's connections to what it changes."""
DEEPEST_USE = 5
"""How deep documents may use each other."""
MOST_NAMES = 50
"""Parameters, or outputs, of one document."""


class Retry(Frozen):
    """How a step is tried again after a temporary error."""

    attempts: Annotated[int, Field(ge=1, le=20, examples=[3])] = 1
    """Tries in all."""
    backoff: Annotated[Duration, Field(examples=["10s"])] = timedelta(seconds=10)
    """The wait after the first try; doubles each time, up to five minutes."""


_BLOCK_KEYS = ("for_each", "most", "parallel", "steps")


class MemberSpec(Frozen):
    """One use of an action or a probe, or of another document's steps."""

    id: StepId
    """How later expressions call it: steps.<id>.result."""
    action: Annotated[str | None, Field(examples=["kubernetes.scale"])] = None
    """The action's or probe's name; `remediator actions` lists them."""
    use: Annotated[Name | None, Field(examples=["drain-node"])] = None
    """The name of a fragment or of another runbook: its steps stand here, with its parameters from
    `with`. Of a runbook only parameters, vars, steps and outputs are used."""
    with_: With = Field(
        default_factory=dict, examples=[{"namespace": "${{ labels.namespace }}", "max": 20}]
    )
    """The parameters of the action, or of the document that is used; any of them may be an
    expression."""
    if_: Condition = None
    """A CEL condition. One that reads alert.firing or alert.status makes the step a rung: it is
    used only when what was done before did not help."""
    timeout: Annotated[Span, Field(examples=["5m"])] = timedelta(minutes=5)
    """For applying and settling together."""
    retry: Annotated[Retry, Field(examples=[{"attempts": 3, "backoff": "10s"}])] = Retry()
    """How often it is tried."""

    @model_validator(mode="before")
    @classmethod
    def _is_no_block(cls, given: Any) -> Any:
        if cls is MemberSpec and isinstance(given, Mapping):
            for key in _BLOCK_KEYS:
                if key in given:
                    raise ValueError(f"blocks do not nest: {key} can't stand inside a group")
        return given

    @model_validator(mode="after")
    def _does_one_thing(self) -> "MemberSpec":
        self._check_form()
        return self

    def _check_form(self) -> None:
        if (self.action is None) == (self.use is None):
            raise ValueError("a step of a group has an action, or a use; one of the two")
        self._check_use()

    def _check_use(self) -> None:
        for key in ("timeout", "retry") if self.use is not None else ():
            if key in self.model_fields_set:
                raise ValueError(f"{key} is for an action; the steps of {self.use} have their own")


class StepSpec(MemberSpec):
    """One step: an action or a probe (action), another document's steps (use), or a group of steps
    that may run at once (steps). With for_each, once for each item of a list."""

    for_each: Annotated[
        Any,
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string", "pattern": EXPRESSION_PATTERN},
                    {"type": "array", "minItems": 1, "maxItems": MOST_LANES},
                ]
            }
        ),
        Field(examples=["${{ vars.deployments }}", ["api", "web"]]),
    ] = None
    """A list, or an expression that gives one: the step is done for each item, which it reads as
    each.value (and each.index, from 0). The list may not read now, alert.firing or
    alert.status."""
    most: Annotated[int, Field(ge=1, le=MOST_LANES, examples=[10])] = 10
    """With for_each: a list that is longer ends the run before anything is changed."""
    parallel: Annotated[int | None, Field(ge=1, le=MOST_AT_ONCE, examples=[3])] = None
    """How many at once. With for_each 1 where it is not said, of a group all."""
    steps: Annotated[
        tuple[MemberSpec, ...] | None, Field(min_length=1, max_length=MOST_AT_ONCE)
    ] = None
    """A group: steps that do not wait for each other, and can't read each other's results."""

    def _check_form(self) -> None:
        forms = [key for key in ("action", "use", "steps") if getattr(self, key) is not None]
        if len(forms) != 1:
            had = f"; this has {' and '.join(forms)}" if forms else ""
            raise ValueError(f"a step has an action, a use or steps; one of the three{had}")
        self._check_use()
        given = self.model_fields_set
        if self.steps is not None:
            if self.for_each is not None:
                raise ValueError("blocks do not nest: for_each can't stand beside steps")
            for key, name in (("with_", "with"), ("timeout", "timeout"), ("retry", "retry")):
                if key in given:
                    raise ValueError(f"{name} is for an action; each step of a group has its own")
        elif self.for_each is None and "parallel" in given:
            raise ValueError("parallel is for a step with for_each, or for a group (steps)")
        if self.for_each is None and "most" in given:
            raise ValueError("most is for a step with for_each")


class VerifySpec(Frozen):
    """How the run finds out whether it helped: the alert clears, or a probe says so."""

    resolved_within: Annotated[Span | None, Field(examples=["10m"])] = None
    """The alert must have cleared within this time."""
    action: Annotated[str | None, Field(examples=["http.check"])] = None
    """A probe whose expectation must hold."""
    with_: With = Field(default_factory=dict, examples=[{"url": "http://api.shop/healthz"}])
    """The probe's parameters."""
    within: Annotated[Span | None, Field(examples=["5m"])] = None
    """The probe's expectation must hold within this time."""
    every: Annotated[Span | None, Field(examples=["10s"])] = None
    """How often to look."""

    @model_validator(mode="after")
    def _one_form(self) -> "VerifySpec":
        if (self.resolved_within is None) == (self.action is None):
            raise ValueError("give resolved_within, or an action with within; one of the two")
        if self.resolved_within is not None and self.within is not None:
            raise ValueError("within is for an action; resolved_within says it already")
        if self.action is not None and self.within is None:
            raise ValueError("an action needs within: how long it may take")
        return self


class SilenceSpec(Frozen):
    """Alerts that a planned change sets off, silenced in Alertmanager while the run lasts."""

    match: Annotated[
        tuple[str, ...],
        Field(min_length=1, max_length=MOST_LINES, examples=[['alertname=~"KubePod.*"']]),
    ]
    """Lines of matchers in Alertmanager's syntax; each is a silence of its own."""
    equal: Annotated[
        tuple[str, ...], Field(min_length=1, max_length=10, examples=[["namespace", "deployment"]])
    ]
    """Labels that must have the alert's own values, so that a silence is never wider than the
    alert's scope; besides alertname and severity at least one."""
    for_: Annotated[Span, Field(alias="for", le=LONGEST, examples=["15m"])]
    """It ends by itself after this long, and sooner when the run ends; at most 4h."""


class OnFailure(Frozen):
    """What follows when the run did not help or went wrong."""

    undo: Annotated[bool, Field(examples=[True])] = True
    """Take back what was changed, the newest first."""
    escalate: Calls = ()
    """Who calls a person: notifiers, at once or `{after: 10m, to: NAME}`; empty: the settings'
    escalate_to."""


class RepeatSpec(Frozen):
    """What becomes of a further run of this runbook while one is under way."""

    mode: Annotated[RepeatMode, Field(examples=["queued"])]
    """single: it is not started. restart: it takes the place of the one under way, which is stopped
    before its next change. queued: it waits its turn. parallel: they do not concern each other."""
    key: Annotated[str, Field(examples=["${{ labels.deployment }}"])] = ""
    """Only runs with the same key count; it may read the alert, its group, params and vars. Empty:
    all runs of this runbook."""
    most: Annotated[int | None, Field(ge=1, le=1000, examples=[10])] = None
    """With queued: how many wait at most (10 where it is not said). With parallel: how many are
    under way at most. What comes beyond is not started."""

    @model_validator(mode="after")
    def _most_of_several(self) -> "RepeatSpec":
        if self.most is not None and self.mode in (RepeatMode.SINGLE, RepeatMode.RESTART):
            raise ValueError(f"most is for queued and parallel; {self.mode.value} is one at a time")
        return self


class FragmentSpec(Frozen):
    """Steps for runbooks to use: a document without `match`, which no alert starts."""

    name: Name
    """The name; unique among all runbooks and fragments that are loaded."""
    description: Annotated[
        str, Field(min_length=1, max_length=300, examples=["Scale a service out while it is slow."])
    ]
    """One sentence for the people who are asked to approve."""
    owner: Annotated[str, Field(examples=["team-shop"])] = ""
    """The team that keeps it."""
    docs: Annotated[str, Field(examples=["It does not help when the database is slow."])] = ""
    """More for people: when it helps, when it does not."""
    parameters: Annotated[
        Mapping[VarName, ParameterSpec],
        Field(
            max_length=MOST_NAMES,
            examples=[{"max": {"type": "integer", "default": 20, "minimum": 1, "maximum": 50}}],
        ),
    ] = Field(default_factory=dict)
    """What those who use it, or start it by hand, may set; expressions read it as params.NAME."""
    vars: Annotated[
        Mapping[VarName, Any], Field(examples=[{"deployment": "${{ labels.deployment }}"}])
    ] = Field(default_factory=dict)
    """Names for expressions; each may use the ones before it."""
    steps: Annotated[
        tuple[StepSpec, ...],
        Field(
            min_length=1,
            max_length=MOST_STEPS,
            examples=[[{"id": "look", "action": "http.check", "with": {"url": "http://api/"}}]],
        ),
    ]
    """What is done, in order."""
    outputs: Annotated[
        Mapping[VarName, Any],
        Field(
            max_length=MOST_NAMES,
            examples=[{"replicas": "${{ steps.scale.plan.changes[0].after }}"}],
        ),
    ] = Field(default_factory=dict)
    """What it gives: steps.<id>.result of the step that uses it, and of a run what stays on
    record."""


class RunbookSpec(FragmentSpec):
    """One runbook: which alerts, which steps, which limits."""

    links: Annotated[Mapping[str, str], Field(examples=[{"wiki": "https://wiki/api"}])] = Field(
        default_factory=dict
    )
    """Named links that are shown with each run."""
    match: Annotated[
        tuple[str, ...],
        Field(min_length=1, examples=[['alertname="HighLatency", namespace!="kube-system"']]),
    ]
    """Lines of matchers in Alertmanager's syntax; any line, all of its matchers."""
    if_: Condition = None
    """A CEL condition on the alert; it may read params, too."""
    when: Annotated[Literal["firing", "resolved"], Field(examples=["firing"])] = "firing"
    """What starts a run."""
    per: Annotated[Literal["alert", "group"], Field(examples=["alert"])] = "alert"
    """One run for each alert, or one for the whole group."""
    wait_for: Annotated[Duration, Field(examples=["2m"])] = timedelta()
    """Let it clear by itself first."""
    repeat: Annotated[
        RepeatSpec | None, Field(examples=[{"mode": "single", "key": "${{ labels.deployment }}"}])
    ] = None
    """What becomes of a further run while one is under way; without it, runs are parallel."""
    mode: Annotated[Mode, Field(examples=["approve"])] = Mode.APPROVE
    """observe, approve or auto; the policy may lower it, never raise it."""
    approval: Annotated[Approval, Field(examples=[{"approvers": ["sre-oncall"]}])] = Approval()
    """Who must say yes, and what follows when nobody does."""
    guardrails: Annotated[Limits, Field(examples=[{"cooldown": "15m", "rate": ["3/1h"]}])] = (
        Limits()
    )
    """Its own limits; the policy's hold besides."""
    verify: Annotated[VerifySpec | None, Field(examples=[{"resolved_within": "10m"}])] = None
    """How the run finds out whether it helped."""
    silence: Annotated[
        SilenceSpec | None,
        Field(examples=[{"match": ['alertname=~"KubePod.*"'], "equal": ["pod"], "for": "15m"}]),
    ] = None
    """What is silenced in Alertmanager while the run lasts."""
    on_failure: Annotated[OnFailure, Field(examples=[{"undo": True, "escalate": "pagerduty"}])] = (
        OnFailure()
    )
    """What follows when the run did not help or went wrong."""


ONLY_RUNBOOKS = tuple(
    field.alias or name
    for name, field in RunbookSpec.model_fields.items()
    if name not in FragmentSpec.model_fields
)
"""Keys that a fragment does not have."""


def spec_for(value: Any) -> tuple[type[FragmentSpec], str]:
    """Return the model for a document, and what such a document is called.

    Without any of a runbook's own keys it is a fragment; with one of them `match` is missing.
    """
    if isinstance(value, Mapping) and not any(key in value for key in ONLY_RUNBOOKS):
        return FragmentSpec, "a fragment"
    return RunbookSpec, "a runbook"
