"""A run as people see it: what notifiers render and the API answers; built by journal reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from remediator.model.approvals import ApprovalRequest, Decision
from remediator.model.incidents import Incident
from remediator.model.runs import Outputs, Run, Step
from remediator.model.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody answered a run's escalation: a person looks, and nobody else need be called."""

    by: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything about one run that a person needs to decide.

    `steps` holds the newest attempt of each step, in order; `verdicts` those of the last judgement
    that were not a plain allow; `approval` the newest question with its `decisions`;
    `acknowledged` who answered the newest escalation, if anybody did, `called_at` when that was;
    `outputs` what it left, once it has ended well.
    """

    run: Run
    incident: Incident | None
    steps: tuple[Step, ...]
    verdicts: tuple[Verdict, ...]
    approval: ApprovalRequest | None
    decisions: tuple[Decision, ...]
    description: str
    owner: str
    links: Mapping[str, str]
    acknowledged: Acknowledgement | None = None
    called_at: datetime | None = None
    outputs: Outputs = field(default_factory=Outputs)

    @property
    def calls(self) -> bool:
        """Whether a person was called, and nobody has answered."""
        if self.called_at is None:
            return False
        return self.acknowledged is None or self.acknowledged.at < self.called_at

    @property
    def labels(self) -> Mapping[str, str]:
        """The alert's labels; of a run without an incident those that it was started with."""
        if self.incident is not None:
            return self.incident.labels
        return self._alert.get("labels", {})

    @property
    def annotations(self) -> Mapping[str, str]:
        """The alert's annotations, likewise."""
        if self.incident is not None:
            return self.incident.annotations
        return self._alert.get("annotations", {})

    @property
    def _alert(self) -> Mapping[str, Mapping[str, str]]:
        alert: Mapping[str, Mapping[str, str]] = self.run.context.get("alert", {})
        return alert


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open question with its run; `mine` says whether whoever looks may answer it."""

    view: RunView
    mine: bool


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody as the settings know them: the person behind an identity, and their groups."""

    identity: str
    person: str
    groups: tuple[str, ...]


class NoteKind(StrEnum):
    """What a note tells."""

    STATE = "state"  # the run went into another state
    STEP = "step"  # a step was applied, settled, failed or taken back
    APPROVAL = "approval"  # a person is asked
    ESCALATION = "escalation"  # a person must look
    ACKNOWLEDGED = "acknowledged"  # a person looks; who was called may lean back
    CLEARED = "cleared"  # the alert of a run that had ended, and had called somebody, cleared


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to tell people, out of the outbox. `text` is one plain sentence.

    `to` names notifiers; empty means all that are told of everything (pagers are not). `due` is
    when to tell it at the earliest, None at once; it may be dropped before. `id` is the same each
    time that this note is told to one notifier; the journal gives it. `again` says that an earlier
    attempt may have succeeded without our knowing: whoever can look, looks before it is told.
    `shared` says that a storm's message told of the run first, and called people for it.
    """

    kind: NoteKind
    run_id: str
    text: str
    at: datetime
    to: tuple[str, ...] = ()
    due: datetime | None = None
    id: str = field(default="", compare=False)
    again: bool = field(default=False, compare=False)
    shared: bool = field(default=False, compare=False)


def how_to_resume(run_id: str) -> str:
    """Return what a person does about an interrupted run."""
    return f"Look, then: remediator runs resume {run_id} --how done|repeat|undo"
