"""JSON Schemas of the API's answers, for `openapi`; tests hold `render` against them."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from remediator.engine.guardrails import BreakerState
from remediator.journal.values import CancelOutcome
from remediator.model.approvals import (
    Answer,
    ApprovalStatus,
    DecisionOutcome,
    OnExpiry,
    SnoozeOutcome,
)
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.incidents import Fate, IncidentStatus
from remediator.model.limits import Mode
from remediator.model.overrides import GrantOutcome, OverrideState
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState, Trigger
from remediator.model.verdicts import Ruling
from remediator.settings import Role

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_FLAG: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_PAIRS: Schema = {"type": "object", "additionalProperties": _TEXT}
_OBJECT: Schema = {"type": "object"}


def _enum(kind: type[StrEnum]) -> Schema:
    return {"type": "string", "enum": [member.value for member in kind]}


def _maybe(schema: Schema) -> Schema:
    if "$ref" in schema or "enum" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(name: str) -> Schema:
    return {"type": "array", "items": _ref(name)}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _page(name: str) -> Schema:
    return _object(items=_list(name), next=_maybe(_TEXT))


INCIDENT_STATUS = _enum(IncidentStatus)
RUN_STATE = _enum(RunState)

_RUN: Mapping[str, Schema] = {
    "id": _TEXT,
    "incident_id": _maybe(_TEXT),
    "runbook": _TEXT,
    "version": _TEXT,
    "trigger": _enum(Trigger),
    "state": RUN_STATE,
    "reason": _enum(Reason),
    "message": _TEXT,
    "target": _TEXT,
    "started_by": _TEXT,
    "created_at": _TIME,
    "started_at": _maybe(_TIME),
    "ended_at": _maybe(_TIME),
    "wake_at": _maybe(_TIME),
    "deadline_at": _maybe(_TIME),
    "cancel_requested_by": _maybe(_TEXT),
}

SCHEMAS: Mapping[str, Schema] = {
    "Problem": {
        "type": "object",
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "field": {"type": "string", "description": "Where in the request it is wrong."},
        },
        "required": ["type", "title", "status", "detail"],
    },
    "Status": _object(status=_TEXT),
    "Reloaded": _object(runbooks=_COUNT),
    "Receipt": _object(
        notification_id=_TEXT,
        alerts={
            "type": "object",
            "propertyNames": _enum(Fate),
            "additionalProperties": _COUNT,
            "description": "How many alerts met which fate.",
        },
        started=_COUNT,
        cancelled=_COUNT,
        runs_started={**_TEXTS, "description": "The first hundred."},
        runs_cancelled={**_TEXTS, "description": "The first hundred."},
    ),
    "Incident": _object(
        id=_TEXT,
        sender=_TEXT,
        fingerprint=_TEXT,
        status=INCIDENT_STATUS,
        labels=_PAIRS,
        annotations=_PAIRS,
        generator_url=_TEXT,
        starts_at=_TIME,
        ends_at=_maybe(_TIME),
        opened_at=_TIME,
        updated_at=_TIME,
    ),
    "IncidentPage": _page("Incident"),
    "Run": _object(**_RUN),
    "RunPage": _page("Run"),
    "RunView": _object(
        **_RUN,
        description=_TEXT,
        owner=_TEXT,
        links=_PAIRS,
        context=_OBJECT,
        incident=_maybe(_ref("Incident")),
        steps=_list("Step"),
        verdicts=_list("Verdict"),
        approval=_maybe(_ref("Approval")),
        acknowledged=_maybe(_object(by=_TEXT, at=_TIME, reason=_TEXT)),
        outputs={**_OBJECT, "description": "What the run left, by name, once it has succeeded."},
        outputs_failed={**_PAIRS, "description": "Why other outputs could not be worked out."},
    ),
    "Step": _object(
        id=_TEXT,
        sequence=_COUNT,
        attempt=_COUNT,
        action=_TEXT,
        state=_enum(StepState),
        message=_TEXT,
        params=_OBJECT,
        plan=_maybe(_ref("Plan")),
        target=_maybe(_TEXT),
        impact=_maybe(_TEXT),
        output=_OBJECT,
        changed=_FLAG,
        started_at=_maybe(_TIME),
        ended_at=_maybe(_TIME),
    ),
    "Plan": _object(
        action=_TEXT,
        target=_object(system=_TEXT, kind=_TEXT, scope=_TEXT, name=_TEXT, uid=_TEXT, labels=_PAIRS),
        changes={"type": "array", "items": _object(path=_TEXT, before={}, after={})},
        impact=_object(
            pods=_COUNT,
            of_pods=_COUNT,
            nodes=_COUNT,
            replicas=_maybe(_COUNT),
            note=_TEXT,
            down=_maybe(_COUNT),
        ),
        summary=_TEXT,
        way_back=_maybe(_object(summary=_TEXT, details=_OBJECT)),
        no_way_back=_TEXT,
        details=_OBJECT,
        checkable=_FLAG,
        lasts_s=_maybe({"type": "number"}),
        digest=_TEXT,
    ),
    "Verdict": _object(
        rule=_TEXT,
        ruling=_enum(Ruling),
        reason=_TEXT,
        lifted_by=_TEXT,
        by=_TEXT,
        figure=_TEXT,
        limit=_TEXT,
        override=_TEXT,
    ),
    "Policy": _object(file=_maybe(_TEXT), digest=_TEXT, policy=_OBJECT),
    "Explanation": _object(
        run_id=_TEXT,
        runbook=_TEXT,
        state=RUN_STATE,
        steps={
            "type": "array",
            "items": _object(
                id=_TEXT, sequence=_COUNT, plan=_TEXT, digest=_TEXT, verdicts=_list("Verdict")
            ),
        },
        overrides=_list("Override"),
        liftable={**_TEXTS, "description": "Guardrails that say no and may be overridden."},
        people={**_TEXTS, "description": "Whom the policy names for overrides."},
        nothing={**_TEXT, "description": "Why no plan is judged; empty where one is."},
    ),
    "Override": _object(
        id=_TEXT,
        run_id=_TEXT,
        asked_for=_TEXT,
        guardrail=_TEXT,
        by=_TEXT,
        reason=_TEXT,
        via=_TEXT,
        state=_enum(OverrideState),
        created_at=_TIME,
        expires_at=_TIME,
        used_at=_maybe(_TIME),
    ),
    "Overridden": _object(
        id=_TEXT, outcome=_enum(GrantOutcome), message=_TEXT, override=_ref("Override")
    ),
    "Simulation": _object(
        alerts={
            "type": "array",
            "items": _object(
                status=_TEXT,
                labels=_PAIRS,
                fingerprint=_TEXT,
                starts_at=_TIME,
                runs={
                    "type": "array",
                    "items": _object(
                        runbook=_TEXT,
                        file=_TEXT,
                        version=_TEXT,
                        trigger=_enum(Trigger),
                        mode=_enum(Mode),
                        state=RUN_STATE,
                        reason=_enum(Reason),
                        message=_TEXT,
                        refused=_FLAG,
                        steps={"type": "array", "items": _OBJECT},
                        approval=_maybe(_OBJECT),
                        silences=_TEXTS,
                        withheld=_TEXTS,
                        assumed=_TEXTS,
                    ),
                },
                passed={"type": "array", "items": _object(runbook=_TEXT, why=_TEXT)},
            ),
        },
    ),
    "Breaker": _object(
        runbook=_TEXT,
        state=_enum(BreakerState),
        failures=_COUNT,
        opened_at=_maybe(_TIME),
        half_open_at=_maybe(_TIME),
        reset=_maybe(_object(by=_TEXT, reason=_TEXT, at=_TIME)),
    ),
    "BreakerPage": _page("Breaker"),
    "BreakerReset": _object(runbook=_TEXT, outcome=_TEXT),
    "Report": _object(
        since=_TIME, until=_TIME, partial=_FLAG, policy_mode=_enum(Mode), items=_list("ReportLine")
    ),
    "ReportLine": _object(
        runbook=_TEXT,
        in_force=_FLAG,
        mode=_maybe(_enum(Mode)),
        file=_maybe(_TEXT),
        substance=_maybe(_TEXT),
        runs=_COUNT,
        states={"type": "object", "additionalProperties": _COUNT},
        helped=_COUNT,
        rolled_back=_COUNT,
        failed=_COUNT,
        observed=_COUNT,
        needed_a_person=_COUNT,
        asked=_COUNT,
        approved=_COUNT,
        denied=_COUNT,
        called=_COUNT,
        decisions=_COUNT,
        refused={"type": "object", "additionalProperties": _COUNT},
        mean_time_s=_maybe({"type": "number"}),
        trust=_maybe(_ref("Trust")),
        breaker=_maybe(_enum(BreakerState)),
    ),
    "Trust": _object(
        earned=_enum(Mode),
        to_approve=_ref("Evidence"),
        to_auto=_ref("Evidence"),
        proposal=_maybe(
            _object(
                to=_enum(Mode),
                met=_FLAG,
                bars={"type": "array", "items": _object(text=_TEXT, met=_FLAG)},
            )
        ),
    ),
    "Evidence": _object(
        observed=_COUNT,
        asked=_COUNT,
        approved=_COUNT,
        automatic=_COUNT,
        helped=_COUNT,
        denied=_COUNT,
        success={"type": "number"},
    ),
    "Approval": _object(
        id=_TEXT,
        status=_enum(ApprovalStatus),
        digests=_PAIRS,
        approvers=_TEXTS,
        quorum=_COUNT,
        asked_because=_TEXT,
        terms=_object(
            within={"type": "array", "items": _TEXTS},
            four_eyes=_FLAG,
            on_expiry=_enum(OnExpiry),
            remind=_TEXTS,
            deny_reason=_FLAG,
            policy=_TEXTS,
        ),
        differs={**_TEXTS, "description": "A diff from the plans that were asked for before."},
        closed_why=_TEXT,
        created_at=_TIME,
        expires_at=_TIME,
        decisions=_list("Decision"),
    ),
    "Decision": _object(
        actor=_TEXT, person=_TEXT, answer=_enum(Answer), reason=_TEXT, via=_TEXT, at=_TIME
    ),
    "Waiting": _object(
        mine={**_FLAG, "description": "Whether you may answer it."},
        run=_ref("Run"),
        description=_TEXT,
        plans=_TEXTS,
        approval=_maybe(_ref("Approval")),
    ),
    "WaitingPage": _page("Waiting"),
    "Me": _object(
        identity=_TEXT,
        person=_TEXT,
        role=_enum(Role),
        groups=_TEXTS,
        waiting=_list("Waiting"),
    ),
    "Snoozed": _object(id=_TEXT, approval_id=_TEXT, outcome=_enum(SnoozeOutcome), message=_TEXT),
    "Started": _object(id=_TEXT),
    "Decided": _object(id=_TEXT, approval_id=_TEXT, outcome=_enum(DecisionOutcome), message=_TEXT),
    "Outcome": _object(
        id=_TEXT,
        outcome={
            "type": "string",
            "enum": [CancelOutcome.CANCELLED.value, CancelOutcome.REQUESTED.value, "resumed"],
        },
    ),
    "Acknowledged": _object(
        id=_TEXT,
        outcome={
            "type": "string",
            "enum": [
                AcknowledgeOutcome.ACKNOWLEDGED.value,
                AcknowledgeOutcome.REPEATED.value,
            ],
        },
    ),
    "Runbook": _object(
        name=_TEXT,
        description=_TEXT,
        file=_TEXT,
        mode=_enum(Mode),
        version=_TEXT,
        parameters={
            "type": "object",
            "additionalProperties": {"type": "object"},
            "description": "What a person who starts it may set, as the runbook declares it.",
        },
    ),
    "RunbookPage": _page("Runbook"),
    "Control": _object(scope=_TEXT, by=_TEXT, reason=_TEXT, since=_TIME, until=_maybe(_TIME)),
    "ControlPage": _page("Control"),
    "Lifted": _object(scope=_TEXT, outcome=_TEXT),
    "AuditRecord": _object(
        seq=_COUNT,
        kind=_TEXT,
        actor=_TEXT,
        at=_TIME,
        run_id=_maybe(_TEXT),
        incident_id=_maybe(_TEXT),
        details=_OBJECT,
        previous=_TEXT,
        hash=_TEXT,
    ),
    "AuditPage": _page("AuditRecord"),
}
