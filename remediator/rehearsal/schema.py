"""What a test file may say, as pydantic models; its JSON Schema is made from these.

Shapes only: `files` reads a test file with its positions, `play` plays it, `expect` compares.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from remediator.journal.values import ResumeHow
from remediator.model.escalation import Calls
from remediator.model.limits import Frozen
from remediator.model.policy import Policy
from remediator.model.quantities import Duration, YamlSchema
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.simulated.spec import Object, Reference, Request, WorldChange, WorldSpec

START = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
"""A Monday morning: where a test's clock begins unless the file says otherwise."""
MOST_TESTS = 200
MOST_EVENTS = 1_000
LONGEST_TEST = timedelta(days=60)
"""Virtual time of one test; windows and budgets are weeks at most."""

_REGEX = re.compile(r"/(.*)/", re.DOTALL)


def _text(value: str) -> str:
    if found := _REGEX.fullmatch(value):
        try:
            re.compile(found[1])
        except re.error as error:
            raise ValueError(f"{value} is no regular expression: {error}") from None
    return value


Text = Annotated[str, AfterValidator(_text)]
"""An expected text: what was found must contain it, or match it where it is a /regular expression/
between slashes."""

At = Annotated[Duration, Field(le=LONGEST_TEST)]

Labels = Mapping[str, str]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, Mapping) else value


_LABELS = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "examples": [{"alertname": "KubePodCrashLooping", "namespace": "shop", "pod": "web-1"}],
}
Alerts = Annotated[
    tuple[Labels, ...],
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=1000),
    WithJsonSchema({"anyOf": [_LABELS, {"type": "array", "items": _LABELS, "minItems": 1}]}),
]
"""The labels of one alert, or of each alert of one notification."""


# ------------------------------------------------------------------------------ what happens


class Word(Frozen):
    """What a person says about a run."""

    by: str
    """Who says it: an identity, as alice or slack:U123."""
    run: str | None = None
    """The runbook whose run is meant, where there are several."""
    labels: Labels = Field(default_factory=dict)
    """Labels that the run's alert has, where one runbook has several runs."""
    reason: str = ""
    """Why, in their words."""
    refused: Text | None = None
    """They are turned away, and this is what they are told. Without it, to be turned away fails
    the test."""


class Snooze(Word):
    """To put a question off."""

    for_: Annotated[Duration, Field(alias="for")]
    """For how long."""


class Lift(Word):
    """A guardrail that a person lifts for one run, once."""

    guardrail: str
    """The guardrail's name, as verdicts have it: `cooldown`."""


class Resume(Word):
    """What a person found out about an interrupted run."""

    how: ResumeHow
    """done: the step was carried out; repeat: it was not, do it; undo: take back what was done."""


class RunByHand(Frozen):
    """A run that a person starts."""

    runbook: str
    """The runbook's name."""
    labels: Labels = Field(default_factory=dict)
    """In place of an alert's."""
    params: Mapping[str, Any] = Field(default_factory=dict)
    """Values of the runbook's parameters."""
    by: str = "local"
    """Who starts it."""
    refused: Text | None = None
    """It is not started, and this is what they are told."""


class Pause(Frozen):
    """A kill switch that a person sets or lifts."""

    scope: Annotated[str, Field(examples=["*", "runbook:api-*", "scope:shop"])] = "*"
    """Everything, runbooks, or a namespace."""
    by: str = "local"
    """Who does."""
    for_: Annotated[Duration | None, Field(alias="for")] = None
    """For how long; until it is lifted where it is not said."""
    reason: str = ""
    """Why, in their words."""


_HAPPENINGS = (
    "firing",
    "resolved",
    "notification",
    "approve",
    "deny",
    "snooze",
    "cancel",
    "acknowledge",
    "resume",
    "override",
    "run",
    "pause",
    "unpause",
    "world",
    "alertmanager",
    "restart",
)


class Event(Frozen):
    """One thing that happens, at its time. What stands together at one time happens in order."""

    at: At = timedelta()
    """How long after the start."""
    firing: Alerts | None = None
    """An alert begins to fire, and its notification arrives: its labels. A list: all in one
    notification."""
    resolved: Alerts | None = None
    """The firing alerts that these labels fit stop, and the notification arrives."""
    annotations: Labels = Field(default_factory=dict)
    """Annotations of what fires here."""
    group: Labels = Field(default_factory=dict)
    """The group's labels (`group_by`) of this notification."""
    told: bool = True
    """false: the alert fires or stops in Alertmanager, but its notification is lost."""
    notification: Annotated[str | Mapping[str, Any] | None, Field(examples=["recorded.json"])] = (
        None
    )
    """A recorded webhook body: a JSON file beside this one, or the body itself. Its times are
    moved, so that the latest of them is now."""
    approve: Word | None = None
    """A person says yes to what a run asks."""
    deny: Word | None = None
    """A person says no."""
    snooze: Snooze | None = None
    """A person puts the question off."""
    cancel: Word | None = None
    """A person stops a run."""
    acknowledge: Word | None = None
    """A person answers a run's escalation."""
    resume: Resume | None = None
    """A person lets an interrupted run go on."""
    override: Lift | None = None
    """A person lifts a guardrail for one run, as the policy lets them (`policy.override`)."""
    run: RunByHand | None = None
    """A person starts a runbook by hand."""
    pause: Pause | None = None
    """A person stops automatic changes."""
    unpause: Pause | None = None
    """A person lifts a pause."""
    world: WorldChange | None = None
    """The world changes by itself: what stands here replaces the same thing, or is new."""
    alertmanager: Annotated[str | None, Field(pattern="^(up|down)$")] = None
    """Whether Alertmanager answers from now on, up or down, when it is asked what fires."""
    restart: bool | None = None
    """true: the daemon crashes here, in the middle of whatever it does, and starts again."""

    @model_validator(mode="after")
    def _one_happening(self) -> "Event":
        found = [name for name in _HAPPENINGS if getattr(self, name) not in (None, False)]
        if len(found) != 1:
            what = f"{' and '.join(found)} stand together" if found else "none stands here"
            raise ValueError(f"one of {', '.join(_HAPPENINGS)} happens in each entry; {what}")
        if self.annotations and self.firing is None:
            raise ValueError("annotations belong to an alert that is firing here")
        return self

    @property
    def what(self) -> str:
        """Which of them it is."""
        return next(name for name in _HAPPENINGS if getattr(self, name) not in (None, False))


# ------------------------------------------------------------------------------ what is expected


class StepExpected(Frozen):
    """How one step stands: its state alone, or any of these."""

    state: StepState | None = None
    """planned, started, done, skipped, failed, undoing or undone."""
    message: Text | None = None
    """What is said of it."""
    output: Mapping[str, Any] | None = None
    """Parts of its result's output."""

    @model_validator(mode="before")
    @classmethod
    def _a_state_will_do(cls, given: Any) -> Any:
        return {"state": given} if isinstance(given, str) else given

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        inner = handler.resolve_ref_schema(handler(core_schema))
        mapping = {**inner}
        inner.clear()
        inner["description"] = mapping.pop("description")
        inner["anyOf"] = [{"enum": [state.value for state in StepState]}, mapping]
        return inner


class RunExpected(Frozen):
    """How one run stands; a key that is left out is not looked at."""

    runbook: str | None = None
    """The runbook's name."""
    state: RunState | None = None
    """Where it is in its life."""
    reason: Reason | None = None
    """Why it is in this state."""
    message: Text | None = None
    """The sentence that goes with the state."""
    target: Text | None = None
    """What it changes, as lists show it."""
    plans: tuple[Text, ...] | None = None
    """All its plans, in the order of its steps, as people read them: `pod shop/web-1: …`."""
    verdicts: tuple[Text, ...] | None = None
    """All verdicts of the last judgement that were not a plain allow, as `hold: mode: …`."""
    steps: Mapping[str, StepExpected] | None = None
    """Steps by id: the state that each is in, or its parts."""
    outputs: Mapping[str, Any] | None = None
    """Parts of the run's outputs."""


class Expectation(Frozen):
    """How things stand at a time, when all that was due has happened; what is left out is not
    looked at."""

    at: At
    """How long after the start."""
    runs: tuple[RunExpected, ...] | None = None
    """All runs by then, in the order in which they came to be; [] says that there is none."""
    messages: tuple[Text, ...] | None = None
    """All that people were told by then, in order: questions, escalations and how runs ended.
    What a pager was told begins with its name."""
    kubernetes: tuple[Object, ...] | None = None
    """Objects that are there: kind, metadata.name, and whatever parts of them must be so."""
    absent: tuple[Reference, ...] | None = None
    """Kubernetes objects that are not there, as kind/namespace/name."""
    exec: tuple[tuple[str, ...], ...] | None = None
    """Commands that were started by then, in this order; others may lie between. [] says that
    none was."""
    http: tuple[Request, ...] | None = None
    """HTTP requests that were made by then, likewise."""
    silences: tuple[Text, ...] | None = None
    """The silences that are set at Alertmanager at that time, as lines of matchers."""


# ------------------------------------------------------------------------------ the file


class TestCase(Frozen):
    """One story, and what must come of it."""

    __test__ = False  # not one of pytest's

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What it shows, in a few words; unique in the file."""
    world: WorldSpec = WorldSpec()
    """Laid over the file's world."""
    policy: Policy | None = None
    """In place of the file's."""
    timeline: Annotated[tuple[Event, ...], Field(max_length=MOST_EVENTS)] = ()
    """What happens; in the order of time."""
    expect: Annotated[tuple[Expectation, ...], Field(min_length=1, max_length=MOST_EVENTS)]
    """How things must stand; in the order of time. At one time, what happens comes first."""

    @model_validator(mode="after")
    def _in_order(self) -> "TestCase":
        for name, entries in (("timeline", self.timeline), ("expect", self.expect)):
            times = [entry.at for entry in entries]
            if times != sorted(times):
                raise ValueError(f"{name}: write it in the order of time")
        return self


class TestFile(Frozen):
    """Tests of runbooks: `NAME.test.yaml` beside `NAME.yaml`."""

    __test__ = False  # not one of pytest's

    runbooks: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Files of runbooks, relative to this one; default: NAME.yaml for NAME.test.yaml. Only these
    are in force."""
    policy: Policy | None = None
    """The policy in force, as in a policy file. Default: `{mode: auto}`, so that a runbook's own
    mode counts and the defaults of a policy limit it."""
    policy_file: str | None = None
    """A policy file, relative to this one, in place of `policy`."""
    groups: Mapping[str, tuple[str, ...]] | None = None
    """Groups of people, as in the settings. Default: whoever is named in a timeline is in every
    group."""
    default_approvers: tuple[str, ...] | None = None
    """Who is asked where a runbook names nobody. Default: whoever is named in a timeline."""
    escalate_to: Calls = ()
    """Who is called where a runbook names nobody, as in the settings."""
    start: AwareDatetime = START
    """Where the virtual clock begins."""
    world: WorldSpec = WorldSpec()
    """What actions and probes see, in every test of the file."""
    tests: Annotated[tuple[TestCase, ...], Field(min_length=1, max_length=MOST_TESTS)]
    """The tests; each has a daemon, a journal and a world of its own."""

    @model_validator(mode="after")
    def _fits_together(self) -> "TestFile":
        if self.policy is not None and self.policy_file is not None:
            raise ValueError("give policy or policy_file, not both")
        seen: set[str] = set()
        for test in self.tests:
            if test.name in seen:
                raise ValueError(f"two tests are called {test.name!r}")
            seen.add(test.name)
        return self


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a test file."""
    schema = TestFile.model_json_schema(by_alias=True, schema_generator=YamlSchema)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "remediator runbook tests"
    return schema
