"""The model of claim, lease and fencing: every property holds, and every fault is caught.

`models/README.md` says what is modelled and assumed. The searches are exhaustive. A fault is one
macro that takes one rule out of the protocol; the property that must then break stands beside it,
so that a model which proves everything would be found out here.
"""

import os
import re
from pathlib import Path

import pytest

from tests.models.spin import search

MODEL = Path(__file__).parents[2] / "models" / "lease.pml"


# What bounds a search: how many starts of a daemon in all, and how many lost answers.
LOST_ANSWERS = ("STARTS=2", "LOSSES=1")
NEW_IDENTITY = ("STARTS=3", "LOSSES=0")
OUTAGE = ("STARTS=2", "LOSSES=0", "OUTAGES=1")
CRASH = ("STARTS=2", "LOSSES=0", "CRASHES=1")
SMALLEST = ("STARTS=2", "LOSSES=0")
WIDE = os.environ.get("REMEDIATOR_TEST_MODELS") == "wide"
"""Look at larger bounds, too; minutes each, and some gigabytes of memory."""
SHORT = ("LEASE=2", "MARGIN=0")
"""The margin is for calls that nothing but time holds back; what ends has none of them."""

VERSIONED = ("TARGET=1",)
BY_VALUE = ("TARGET=2",)
PLAIN = ("TARGET=3",)
BLIND = ("TARGET=4",)

pytestmark = [
    pytest.mark.servers,  # spin and a C compiler are installed like them
    *([pytest.mark.timeout(3600)] if WIDE else []),
]

SAFE = {
    "a target with versions, lost answers": (*VERSIONED, *LOST_ANSWERS),
    "a target with versions, and the way back": (*VERSIONED, "UNDO", *SMALLEST),
    "a daemon that starts again": (*VERSIONED, *NEW_IDENTITY),
    "a target that compares values, and no way back": (*BY_VALUE, *LOST_ANSWERS),
    "a target that compares nothing, prompt calls": (*PLAIN, "PROMPT", *LOST_ANSWERS),
    "the same, a daemon that starts again": (*PLAIN, "PROMPT", *NEW_IDENTITY),
    "the same, heartbeats that are answered late": (
        *PLAIN,
        "PROMPT",
        "SLOW_ANSWERS",
        *SMALLEST,
    ),
    "a target that can't be looked at": (*BLIND, *LOST_ANSWERS),
    "the database goes away and comes back": (*VERSIONED, *OUTAGE),
}

if WIDE:
    SAFE |= {
        "wide: the way back, lost answers": (*VERSIONED, "UNDO", *LOST_ANSWERS),
        "wide: the way back, a new identity": (*VERSIONED, "UNDO", *NEW_IDENTITY),
        "wide: lost answers and a new identity": (*VERSIONED, "STARTS=3", "LOSSES=1"),
        "wide: a daemon that is killed, lost answers": (
            *VERSIONED,
            "STARTS=2",
            "LOSSES=1",
            "CRASHES=1",
        ),
    }

NO_COMMIT_WHEN_DEAD = "!(dead[session[x].id])"
NO_REAPING_WHEN_DEAD = "!(dead[reaper[i]])"
ONE_OWNER_PER_EPOCH = "committer==session"
NOTHING_AFTER_THE_END = "phase<3"
ONE_EFFECT = "effects[call"
INTENT_FIRST = "phase>="
NOT_DEAD_FOR_AN_OUTAGE = "up_for[victim"

FAULTS = {
    "no look at one's own row": (
        (*VERSIONED, *LOST_ANSWERS, "M_NO_LIVENESS"),
        NO_COMMIT_WHEN_DEAD,
    ),
    "a reaper that locks no row": (
        (*VERSIONED, *LOST_ANSWERS, "M_REAPER_NO_LOCK"),
        NO_REAPING_WHEN_DEAD,
    ),
    "a claim that keeps the epoch": (
        (*VERSIONED, *LOST_ANSWERS, "M_SAME_EPOCH"),
        ONE_OWNER_PER_EPOCH,
    ),
    "a write that names no owner": (
        (*VERSIONED, *LOST_ANSWERS, "M_NO_FENCE"),
        NOTHING_AFTER_THE_END,
    ),
    "a call before its intent": (
        (*VERSIONED, *LOST_ANSWERS, "M_CALL_BEFORE_INTENT"),
        INTENT_FIRST,
    ),
    "a blind change that is repeated": ((*BLIND, *LOST_ANSWERS, "M_BLIND_REPEATED"), ONE_EFFECT),
    "no check of the lease": (
        (*PLAIN, "PROMPT", *LOST_ANSWERS, "M_NO_LEASE_CHECK"),
        ONE_EFFECT,
    ),
    "a lease that counts from the answer": (
        (*PLAIN, "PROMPT", *LOST_ANSWERS, "SLOW_ANSWERS", "M_LEASE_FROM_ANSWER"),
        ONE_EFFECT,
    ),
    "a new identity while the old one's work goes on": (
        (*PLAIN, "PROMPT", *NEW_IDENTITY, "M_NEW_IDENTITY_AT_ONCE"),
        ONE_EFFECT,
    ),
    "a look at the target after the check": (
        (*VERSIONED, "UNDO", *SMALLEST, "M_CHECK_BEFORE_READ"),
        ONE_EFFECT,
    ),
    "a reaper that was away itself": (
        (*VERSIONED, *OUTAGE, "M_EAGER_REAPER"),
        NOT_DEAD_FOR_AN_OUTAGE,
    ),
    "a reaper that looks only before its transaction": (
        (*VERSIONED, *OUTAGE, "M_REAPER_LOOKS_ONLY_BEFORE"),
        NOT_DEAD_FOR_AN_OUTAGE,
    ),
    # Not faults of the protocol: what it can't do, so that the assumptions are known to be needed.
    "a target that compares nothing, and a late call": ((*PLAIN, *LOST_ANSWERS), ONE_EFFECT),
    "a target that compares values, and the way back": (
        (*BY_VALUE, "UNDO", *SMALLEST),
        ONE_EFFECT,
    ),
}

ENDING = {
    "answers of the database that are lost": (*BLIND, *LOST_ANSWERS, *SHORT),
    "a daemon that is killed": (*VERSIONED, *CRASH, *SHORT),
}
if WIDE:
    ENDING["wide: lost answers"] = (*VERSIONED, *LOST_ANSWERS)
    ENDING["wide: killed"] = (*VERSIONED, *CRASH)

STUCK = {
    "a claim whose answer was lost is forgotten": (
        *VERSIONED,
        *LOST_ANSWERS,
        *SHORT,
        "M_CLAIM_FORGOTTEN",
    ),
    "no idle_in_transaction_session_timeout": (*VERSIONED, *CRASH, *SHORT, "M_NO_IDLE_TIMEOUT"),
    "a reaper that frees no runs": (*VERSIONED, *CRASH, *SHORT, "M_FREES_NOTHING"),
}


@pytest.mark.parametrize("name", SAFE)
def test_nothing_forbidden_can_happen(name: str, tmp_path: Path) -> None:
    found = search(MODEL, tmp_path, *SAFE[name])
    assert (found.errors, found.violated) == (0, "")
    assert found.complete
    assert found.states > 100_000, "so few states can't be all of them"


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_caught(name: str, tmp_path: Path) -> None:
    macros, broken = FAULTS[name]
    found = search(MODEL, tmp_path, *macros)
    assert broken in found.violated


@pytest.mark.parametrize("name", ENDING)
def test_every_run_ends(name: str, tmp_path: Path) -> None:
    found = search(MODEL, tmp_path, *ENDING[name], "ENDING", endless=True)
    assert (found.errors, found.violated) == (0, "")
    assert found.complete
    assert found.states > 100_000, "so few states can't be all of them"


@pytest.mark.parametrize("name", STUCK)
def test_a_fault_that_leaves_a_run_stuck_is_caught(name: str, tmp_path: Path) -> None:
    found = search(MODEL, tmp_path, *STUCK[name], "ENDING", endless=True)
    assert found.violated == "acceptance cycle"


def test_every_fault_of_the_model_is_tried() -> None:
    known = set(re.findall(r"\bM_[A-Z_]+\b", MODEL.read_text()))
    tried = [*(m for m, _ in FAULTS.values()), *STUCK.values()]
    assert known == {macro for macros in tried for macro in macros if macro.startswith("M_")}
