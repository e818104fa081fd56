"""Run after run, each killed one commit later, and in the middle of what it writes."""

from collections.abc import Callable

from tests.crash import legal
from tests.crash.rig import Act, Carried, Rig
from tests.crash.strace import PAGE

# Far more commits than a run makes; the loop ends when a run gets through.
_MOST = 60

Judge = Callable[[Rig, str, Carried], None]
Acts = Callable[[Rig, str], dict[str, Act]]


def kill_everywhere(rig: Rig, acts: Acts, judge: Judge, *, every: int = 2) -> int:
    """Kill a run at each of its commits, and among the pages of every `every`-th; how many died.

    Killed at a commit its records are there, and among its pages they are not: what lies between
    a change and its outcome is only met by the latter.
    """
    for number in range(1, _MOST):
        case = f"commit-{number}"
        carried = rig.carry(case, acts(rig, case), kill_at=number)
        judge(rig, case, carried)
        if not carried.deaths:
            break
    else:
        raise AssertionError(f"no run got through {_MOST} commits")
    died = number - 1
    assert rig.trace is not None
    before = 0
    for number, pages in enumerate(rig.trace.pages_by_commit()):
        # In the middle of the transaction: a page more or less than last time is still within it.
        place = before + max(1, pages // 2)
        before += pages
        if number % every:
            continue
        case = f"page-{place}"
        carried = rig.carry(case, acts(rig, case), kill_at=place, call=PAGE)
        judge(rig, case, carried)
        died += carried.deaths
    rig.check_whole()
    return died


def nothing_left(rig: Rig, carried: Carried) -> None:
    assert rig.locks() == {}
    legal.check(rig.audit(carried.run))
