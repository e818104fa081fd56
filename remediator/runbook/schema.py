"""The runbook language as pydantic models: what may stand where. JSON Schema is made from these.

Expressions are still text here; `compile` turns them into checked code.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from remediator.model.escalation import Calls
from remediator.model.limits import Approval, Frozen, Limits, Mode
from remediator.model.quantities import Duration, YamlSchema
from remediator.model.silences import LONGEST, MOST_LINES
from remediator.plugin.registry import Registry


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("it must be longer than 0s")
    return value


Span = Annotated[Duration, AfterValidator(_positive)]
"""A duration that is not empty."""

Name = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=63, examples=["api-latency-scale-out"])
]
StepId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=63)]
VarName = Annotated[str, Field(pattern=r"^[a-z][a-zA-Z0-9_]*$", max_length=63)]
MOST_STEPS = 50


class Retry(Frozen):
    """How a step is tried again after a temporary error."""

    attempts: Annotated[int, Field(ge=1, le=20)] = 1
    """Tries in all."""
    backoff: Duration = timedelta(seconds=10)
    """The wait after the first try; doubles each time, up to five minutes."""


class StepSpec(Frozen):
    """One use of an action or a probe."""

    id: StepId
    """How later expressions call it: steps.<id>.result."""
    action: str
    """The action's or probe's name; `remediator actions` lists them."""
    with_: Annotated[Mapping[str, Any], Field(alias="with")] = Field(default_factory=dict)
    """The action's parameters; any of them may be an expression."""
    if_: Annotated[str | None, Field(alias="if")] = None
    """A CEL condition. One that reads alert.firing or alert.status makes the step a rung: it is
    used only when what was done before did not help."""
    timeout: Span = timedelta(minutes=5)
    """For applying and settling together."""
    retry: Retry = Retry()


class VerifySpec(Frozen):
    """How the run finds out whether it helped: the alert clears, or a probe says so."""

    resolved_within: Span | None = None
    """The alert must have cleared within this time."""
    action: str | None = None
    """A probe whose expectation must hold."""
    with_: Annotated[Mapping[str, Any], Field(alias="with")] = Field(default_factory=dict)
    """The probe's parameters."""
    within: Span | None = None
    """The probe's expectation must hold within this time."""
    every: Span | None = None
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

    match: Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_LINES)]
    """Lines of matchers in Alertmanager's syntax; each is a silence of its own."""
    equal: Annotated[
        tuple[str, ...], Field(min_length=1, max_length=10, examples=[["namespace", "deployment"]])
    ]
    """Labels that must have the alert's own values, so that a silence is never wider than the
    alert's scope; besides alertname and severity at least one."""
    for_: Annotated[Span, Field(alias="for", le=LONGEST)]
    """It ends by itself after this long, and sooner when the run ends; at most 4h."""


class OnFailure(Frozen):
    """What follows when the run did not help or went wrong."""

    undo: bool = True
    """Take back what was changed, the newest first."""
    escalate: Calls = ()
    """Who calls a person: notifiers, at once or `{after: 10m, to: NAME}`; empty: the settings'
    escalate_to."""


class RunbookSpec(Frozen):
    """One runbook: which alerts, which steps, which limits."""

    name: Name
    """The runbook's name; unique among all that are loaded."""
    description: Annotated[str, Field(min_length=1, max_length=300)]
    """One sentence for the people who are asked to approve."""
    owner: str = ""
    """The team that keeps it."""
    docs: str = ""
    """More for people: when it helps, when it does not."""
    links: Mapping[str, str] = Field(default_factory=dict)
    """Named links that are shown with each run."""
    match: Annotated[tuple[str, ...], Field(min_length=1)]
    """Lines of matchers in Alertmanager's syntax; any line, all of its matchers."""
    if_: Annotated[str | None, Field(alias="if")] = None
    """A CEL condition on the alert."""
    when: Literal["firing", "resolved"] = "firing"
    """What starts a run."""
    per: Literal["alert", "group"] = "alert"
    """One run for each alert, or one for the whole group."""
    wait_for: Duration = timedelta()
    """Let it clear by itself first."""
    mode: Mode = Mode.APPROVE
    """observe, approve or auto; the policy may lower it, never raise it."""
    approval: Approval = Approval()
    guardrails: Limits = Limits()
    vars: Mapping[VarName, Any] = Field(default_factory=dict)
    """Names for expressions; each may use the ones before it."""
    steps: Annotated[tuple[StepSpec, ...], Field(min_length=1, max_length=MOST_STEPS)]
    """What is done, in order."""
    verify: VerifySpec | None = None
    silence: SilenceSpec | None = None
    """What is silenced in Alertmanager while the run lasts."""
    on_failure: OnFailure = OnFailure()


EXPRESSION_PATTERN = r"\$\{\{.*\}\}"


def json_schema(registry: Registry) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a runbook, with each action's parameters."""
    schema = RunbookSpec.model_json_schema(by_alias=True, schema_generator=YamlSchema)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "remediator runbook"
    definitions = schema.setdefault("$defs", {})
    names = sorted(registry.operations)
    step = definitions["StepSpec"]
    step["properties"]["action"]["enum"] = names
    step["allOf"] = []
    for name in names:
        operation = registry.operations[name]
        params = operation.Params.model_json_schema(by_alias=True, schema_generator=YamlSchema)
        key = f"with.{name}"
        definitions.update(params.pop("$defs", {}))
        params["description"] = operation.summary
        definitions[key] = _templated(params)
        needed = ["with"] if params.get("required") else []
        step["allOf"].append(
            {
                "if": {"properties": {"action": {"const": name}}, "required": ["action"]},
                "then": {"properties": {"with": {"$ref": f"#/$defs/{key}"}}, "required": needed},
            }
        )
    definitions["VerifySpec"]["allOf"] = step["allOf"]
    return schema


def _templated(schema: dict[str, Any]) -> dict[str, Any]:
    """Let every parameter also be an expression."""
    expression = {"type": "string", "pattern": EXPRESSION_PATTERN}
    properties = schema.get("properties", {})
    for name, inner in properties.items():
        notes = {k: inner[k] for k in ("description", "default", "examples", "title") if k in inner}
        properties[name] = {**notes, "anyOf": [inner, expression]}
    return schema
