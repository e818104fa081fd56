"""Proves, over every engine, that incidents follow a small model whatever order alerts come in.

Hypothesis plays senders: firing and resolved alerts of a few label sets with jittering starts, in
bodies of any size. The model is `model.incidents.fold` over a plain dictionary.
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from remediator.journal import verify
from remediator.journal.values import Candidate, Receipt
from remediator.model.alerts import Alert
from remediator.model.incidents import Fate, Incident, IncidentStatus, fold
from tests.journal import factories as make
from tests.journal.conftest import Places
from tests.journal.factories import RUNBOOK, T0

_MINUTES = st.integers(0, 12).map(lambda m: T0 + timedelta(minutes=m))
_FIRING = st.builds(make.alert, st.sampled_from(("a", "b")), starts_at=_MINUTES)
_RESOLVED = st.builds(
    make.alert, st.sampled_from(("a", "b")), firing=st.just(False), ends_at=_MINUTES
)
_BODIES = st.lists(st.one_of(_FIRING, _RESOLVED), min_size=1, max_size=5)


class _Senders(RuleBasedStateMachine):
    places: Places

    def __init__(self) -> None:
        super().__init__()
        self._folder = TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._place = type(self).places(Path(self._folder.name))
        self._journal = self._loop.run_until_complete(self._place.open())
        self._loop.run_until_complete(self._journal.register([RUNBOOK]))
        self._newest: dict[tuple[str, str], Incident] = {}
        self._all: dict[str, Incident] = {}
        self._at = T0

    def teardown(self) -> None:
        self._loop.run_until_complete(self._place.close())
        self._loop.close()
        self._folder.cleanup()

    @rule(alerts=_BODIES, sender=st.sampled_from(("main", "other")))
    def take(self, alerts: list[Alert], sender: str) -> None:
        self._at += timedelta(minutes=1)
        candidates = [Candidate(one, on_firing=(make.start(),)) for one in alerts]
        intake = make.notification(*candidates, sender=sender, at=self._at)
        receipt = self._loop.run_until_complete(self._journal.take(intake))
        expected = list(self._fold(sender, candidates, receipt))
        assert list(receipt.fates) == expected

    def _fold(self, sender: str, candidates: list[Candidate], receipt: Receipt) -> Iterator[Fate]:
        for candidate, id_ in zip(candidates, receipt.incident_ids, strict=True):
            key = (sender, candidate.alert.fingerprint)
            fate, incident = fold(
                self._newest.get(key),
                candidate.alert,
                sender=sender,
                new_id=str(id_),
                now=self._at,
            )
            if incident is not None:
                self._newest[key] = self._all[incident.id] = incident
            yield fate

    @invariant()
    def the_journal_holds_what_the_model_holds(self) -> None:
        page = self._loop.run_until_complete(self._journal.incidents(limit=1000))
        assert {i.id: i for i in page.items} == self._all
        opened = [(i.sender, i.fingerprint) for i in page.items if i.open]
        assert len(opened) == len(set(opened))

    @invariant()
    def an_incident_has_at_most_one_run_and_only_while_it_is_open(self) -> None:
        runs = self._loop.run_until_complete(self._journal.runs(limit=1000)).items
        assert len({run.incident_id for run in runs}) == len(runs)
        for run in runs:
            status = self._all[str(run.incident_id)].status
            assert run.state.ended == (status is IncidentStatus.RESOLVED)

    @invariant()
    def the_chain_holds(self) -> None:
        records = self._loop.run_until_complete(self._journal.audit(limit=10_000))
        assert verify.verify(records).ok


def test_incidents_follow_the_model(places: Places) -> None:
    machine = type("Senders", (_Senders,), {"places": staticmethod(places)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
