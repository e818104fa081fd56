"""Slack is down, broken, slow, or says 429: nobody can say yes there.

The run waits; it is never approved by that, and never forgotten. The question arrives when Slack is
back, once, and a click then decides. The API (and so the command line) decides meanwhile.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.crash.fixtures import MakeRig
from tests.crash.rig import Rig
from tests.faults.books import book
from tests.scenarios.people import People
from tests.servers.waiting import eventually

RETRY_AFTER_S = 3
_ALSO_HERE = {"default_approvers": ["sre-oncall", "local"]}
BACK_WITHIN_S = 60.0
"""The outbox tries again after twice the time each time."""


@pytest.fixture
def people() -> Iterator[People]:
    with People() as started:
        yield started


MakeTalking = Callable[[], Rig]


@pytest.fixture
def talking(make_rig: MakeRig, people: People) -> MakeTalking:
    """A daemon that asks in Slack before it writes its line."""

    def make() -> Rig:
        rig = make_rig(book("approve"), settings={**people.settings(), **_ALSO_HERE})
        people.answer_to(rig.daemon.url)
        return rig

    return make


def _break(people: People, fault: str) -> None:
    match fault:
        case "429":
            people.slack.throttle(RETRY_AFTER_S)
        case "refuse" | "500" | "hang":
            people.slack_breaks(fault)


def _mend(people: People) -> None:
    people.slack.throttle(None)
    people.slack_recovers()


def retried(rig: Rig) -> float:
    """How often a delivery to Slack has failed."""
    return rig.daemon.metrics()['remediator_notes_total{notifier="slack",result="retried"}']


@pytest.mark.parametrize("fault", ["refuse", "500", "hang", "429"])
def test_the_question_waits_for_slack(talking: MakeTalking, people: People, fault: str) -> None:
    rig = talking()
    _break(people, fault)
    rig.send("asked", "firing")
    rig.until("awaiting_approval")
    eventually(lambda: retried(rig) >= 1, what="the question to be tried")
    assert rig.run_of()["state"] == "awaiting_approval"
    assert people.messages == []
    _mend(people)
    message = people.asked(BACK_WITHIN_S)
    assert rig.run_of()["state"] == "awaiting_approval"
    assert rig.ledger() == []
    assert people.click(message, "Approve").acknowledged
    rig.until("succeeded")
    people.told(message, "Succeeded")
    assert people.messages == [message]
    assert rig.ledger() == ["do asked"]
    rig.check_whole()


def test_a_slow_slack_is_asked_once(talking: MakeTalking, people: People) -> None:
    rig = talking()
    people.slack_is_slow(True)
    rig.send("asked", "firing")
    message = people.asked()
    # The click overtakes Slack's answer to the message that it is a click on.
    assert people.click(message, "Approve").acknowledged
    rig.until("succeeded")
    assert rig.ledger() == ["do asked"]
    people.slack_is_slow(False)
    people.told(message, "Succeeded")
    assert people.messages == [message]
    rig.check_whole()


def test_without_slack_the_api_decides(talking: MakeTalking, people: People) -> None:
    rig = talking()
    _break(people, "refuse")
    rig.send("asked", "firing")
    rig.approve(rig.until("awaiting_approval"))
    rig.until("succeeded")
    assert rig.ledger() == ["do asked"]
    _mend(people)
    eventually(lambda: people.messages, BACK_WITHIN_S, what="Slack to be told")
    people.told(people.messages[0], "Succeeded", timeout_s=BACK_WITHIN_S)
    rig.check_whole()
