"""Proves, over the real journal, for any sequence of answers, silence, changed plans, changed
groups, changed policies, snoozes and restarts: nothing is applied without a quorum of distinct
people, in their group at the deciding moment, for that very digest; or by silence where runbook and
policy allowed it from the question to its end. The oracle keeps books of its own.
`REMEDIATOR_TEST_EXAMPLES=1000` looks at more.
"""

import asyncio
import os
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from remediator.engine.people import Known
from remediator.model.approvals import Answer, ApprovalRequest
from remediator.model.policy import ApprovalTerms, Policy
from remediator.plugin.notifier import NotAuthorised
from tests.engine.conftest import FREE, Scene
from tests.engine.world import runbook, setting

PERSON = {
    "slack:U1": "alice",
    "api:alice": "alice",
    "slack:U2": "bob",
    "api:bob": "bob",
    "slack:U3": "slack:U3",
    "slack:U9": "slack:U9",
}
QUORUM = 2
SILENT = FREE.model_copy(
    update={"approval": ApprovalTerms.model_validate({"on_expiry": "approve"})}
)

OPERATIONS = st.one_of(
    st.tuples(st.just("answer"), st.sampled_from(sorted(PERSON)), st.booleans()),
    st.tuples(st.just("late answer"), st.sampled_from(sorted(PERSON)), st.booleans()),
    st.tuples(st.just("pass"), st.sampled_from([1, 5, 11, 40]), st.none()),
    st.tuples(st.just("drift"), st.integers(2, 4), st.none()),
    st.tuples(
        st.just("group"),
        st.sets(st.sampled_from(["alice", "bob", "slack:U3"]), max_size=3).map(sorted),
        st.none(),
    ),
    st.tuples(st.just("policy"), st.booleans(), st.none()),
    st.tuples(st.just("snooze"), st.sampled_from([1, 30]), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
    st.tuples(st.just("down"), st.sampled_from([2, 15]), st.none()),
    st.tuples(st.just("clear"), st.none(), st.none()),
    st.tuples(st.just("fire"), st.none(), st.none()),
)
YES = True
_EXAMPLES = int(os.environ.get("REMEDIATOR_TEST_EXAMPLES", "80"))
_ALICE: tuple[str, object, object] = ("answer", "slack:U1", YES)
_BOB: tuple[str, object, object] = ("answer", "api:bob", YES)
_SILENT: list[tuple[str, object, object]] = [
    ("policy", True, None),
    ("clear", None, None),
    ("pass", 1, None),
    ("fire", None, None),
]


@dataclass(frozen=True)
class Click:
    """An answer, and who was in the group when it was given."""

    actor: str
    yes: bool
    members: frozenset[str]


class Books:
    """What really happened, kept beside the journal."""

    def __init__(self) -> None:
        self.questions: dict[str, ApprovalRequest] = {}
        self.clicks: dict[str, list[Click]] = defaultdict(list)
        self.silent_at: dict[str, bool] = {}
        """Question → whether the policy allowed silence when it was asked."""

    def see(self, request: ApprovalRequest | None, silent: bool) -> None:
        """Note a question the first time that it is seen."""
        if request is not None and request.id not in self.questions:
            self.questions[request.id] = request
            self.silent_at[request.id] = silent

    def by_people(self, digest: str) -> bool:
        """Whether a quorum said yes to this digest."""
        for id_, request in self.questions.items():
            if digest not in request.digests.values():
                continue
            yes: dict[str, str] = {}
            for click in self.clicks[id_]:
                person = PERSON[click.actor]
                if person not in click.members:
                    continue
                if not click.yes:
                    break
                yes[click.actor] = person
                standing = {one for one in yes.values() if one in click.members}
                if len(standing) >= QUORUM:
                    return True
        return False

    def by_silence(self, digest: str, silent_now: bool) -> bool:
        """Whether silence may have been taken for a yes to this digest."""
        return silent_now and any(
            self.silent_at[id_]
            for id_, request in self.questions.items()
            if digest in request.digests.values()
        )


class Story:
    """One sequence, and its books."""

    def __init__(self, folder: Path) -> None:
        book = runbook(
            setting("a", 1),
            mode="approve",
            approval={
                "approvers": ["sre"],
                "quorum": QUORUM,
                "timeout": "30m",
                "remind": ["10m"],
                "on_expiry": "approve",
            },
        )
        self.members = ["alice", "bob"]
        self.groups: dict[str, list[str]] = {"sre": self.members}
        people: Mapping[str, tuple[str, ...]] = {
            "alice": ("slack:U1", "api:alice"),
            "bob": ("slack:U2", "api:bob"),
        }
        self.scene = Scene(
            folder, (book,), {"known": Known(groups=self.groups, people=people), "policy": FREE}
        )
        self.silent = False
        self.books = Books()
        self.started: set[int] = set()
        self.seen_ids: list[str] = []

    async def question(self) -> ApprovalRequest | None:
        runs = await self.scene.daemon.runs()
        return (await self.scene.daemon.view(runs[-1].id)).approval if runs else None

    async def do(self, what: str, value: object, more: object) -> None:
        daemon = self.scene.daemon
        silent_before = self.silent
        match what:
            case "answer" | "late answer":
                current = await self.question()
                old = self.seen_ids[0] if what == "late answer" and self.seen_ids else ""
                id_ = old or (current.id if current else "")
                if id_:
                    await self._click(id_, str(value), bool(more))
            case "pass":
                await daemon.advance(timedelta(minutes=_int(value)))
            case "drift":
                self.scene.world.values["a"] = _int(value)
            case "group":
                assert isinstance(value, list)
                self.groups["sre"] = list(value)
            case "policy":
                self.silent = bool(value)
                daemon.policy = self._policy()
            case "snooze":
                current = await self.question()
                if current is not None:
                    await self._snooze(current.id, _int(value))
            case "restart":
                await daemon.restart()
            case "down":
                await daemon.crash()
                daemon.clock.advance(timedelta(minutes=_int(value)))
                await daemon.start()
            case "clear":
                await self.scene.clear()
            case "fire":
                await self.scene.fire()
        await daemon.settle()
        await self._look(silent_before and self.silent)

    def _policy(self) -> Policy:
        return SILENT if self.silent else FREE

    async def _click(self, id_: str, actor: str, yes: bool) -> None:
        self.books.clicks[id_].append(Click(actor, yes, frozenset(self.groups["sre"])))
        answer = Answer.APPROVE if yes else Answer.DENY
        member = PERSON[actor] in self.groups["sre"]
        try:
            await self.scene.daemon.desk.decide(
                id_, actor=actor, answer=answer, reason="", via="test"
            )
            assert member, f"{actor} is in no group and was let in"
        except NotAuthorised:
            assert not member, f"{actor} is in the group and was turned away"

    async def _snooze(self, id_: str, minutes: int) -> None:
        for actor in ("slack:U1", "slack:U2"):
            try:
                await self.scene.daemon.desk.snooze(
                    id_, actor=actor, for_=timedelta(minutes=minutes), reason="", via="test"
                )
            except NotAuthorised:
                continue
            return

    async def _look(self, silent_now: bool) -> None:
        records = await self.scene.daemon.audit()
        for record in records:
            if record.entry.kind == "approval.asked" and record.seq not in self.started:
                self.started.add(record.seq)
                id_ = str(record.entry.details["approval"])
                self.books.see(await self.scene.daemon.journal.approval(id_), self.silent)
                self.seen_ids.append(id_)
        for record in records:
            if record.entry.kind == "step.started" and record.seq not in self.started:
                self.started.add(record.seq)
                digest = str(record.entry.details["digest"])
                assert self.books.by_people(digest) or self.books.by_silence(digest, silent_now), (
                    f"applied {record.entry.details['plan']} without anybody's yes"
                )
        applied = sum(1 for record in records if record.entry.kind == "step.started")
        assert len(self.scene.world.made) <= applied


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


async def tell(operations: list[tuple[str, object, object]]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        story = Story(Path(folder))
        async with story.scene.daemon:
            await story.do("fire", None, None)
            for operation in operations:
                await story.do(*operation)
            return len(story.scene.world.made)


@settings(
    max_examples=_EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
@given(st.lists(OPERATIONS, min_size=3, max_size=14))
@example([_ALICE, ("answer", "api:alice", YES), _BOB])
@example([_ALICE, ("drift", 3, None), _BOB, _ALICE, _BOB])
@example([_ALICE, ("group", ["bob"], None), _BOB, ("group", ["alice", "bob"], None), _ALICE])
@example([_ALICE, ("snooze", 1, None), ("pass", 5, None), _BOB, ("late answer", "slack:U1", YES)])
@example([*_SILENT, ("pass", 40, None)])
@example([*_SILENT, ("policy", False, None), ("pass", 40, None)])
@example([("policy", True, None), ("pass", 40, None)])
@example([("pass", 40, None), _ALICE, _BOB])
def test_nothing_is_applied_without_the_yes_that_it_needs(
    operations: list[tuple[str, object, object]],
) -> None:
    asyncio.run(tell(operations))


def test_the_stories_do_apply_what_they_should() -> None:
    assert asyncio.run(tell([_ALICE, _BOB])) == 1
    assert asyncio.run(tell([_ALICE, ("restart", None, None), _BOB])) == 1
    assert asyncio.run(tell([*_SILENT, ("pass", 40, None)])) == 1
    assert asyncio.run(tell([_ALICE, ("group", ["bob"], None), _BOB])) == 0
