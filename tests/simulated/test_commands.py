"""Proves of the simulated commands with the real action `exec`: planning, applying, settling and
undoing see the endings that a test lists; nothing else may be started."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from remediator.actions.exec import Exec
from remediator.clients.errors import Refused
from remediator.clients.process import OUTPUT_BYTES, Finished, ProcessRunner
from remediator.model.plans import Progress
from remediator.plugin.action import Permanent, Temporary
from remediator.simulated.answers import CommandSpec, fits
from remediator.simulated.commands import Commands
from remediator.simulated.http import Web
from remediator.testing.clock import START, ManualClock
from tests.simulated.stage import Stage, passing

LIST: TypeAdapter[tuple[CommandSpec, ...]] = TypeAdapter(tuple[CommandSpec, ...])
RESTART = ["/usr/bin/systemctl", "restart", "nginx"]


def commands(*answers: dict[str, Any], clock: ManualClock | None = None) -> Commands:
    ticking = clock or ManualClock()
    return Commands(LIST.validate_python(answers), ticking, Web((), ticking))


async def run(made: Commands, *command: str, timeout_s: float = 60) -> Finished:
    return await made.run(command, environment={}, cwd="/", timeout_s=timeout_s)


async def test_the_action_works_on_it_from_plan_to_undo() -> None:
    clock = ManualClock()
    on = {"command": ["ctl", "is-on"], "exit": 0}
    off = {"command": ["ctl", "is-on"], "exit": 1}
    made = commands(
        off,
        {"command": ["ctl", "on"], "stdout": "it is on\n", "takes": "20s", "then": {"exec": [on]}},
        {"command": ["ctl", "off"], "then": {"exec": [off]}},
        {"command": ["ctl", "is-warm"], "answers": [{"exit": 1}, {}]},
        clock=clock,
    )
    action, ctx = Exec(), Stage(clock, {ProcessRunner: made})
    given = {
        "command": ["/opt/ctl", "on"], "undo": ["/opt/ctl", "off"], "check": ["/opt/ctl", "is-on"],
        "settle": ["/opt/ctl", "is-warm"], "plan_text": "switch on",
    }  # fmt: skip
    plan = await action.plan(Exec.Params.model_validate(given), ctx)
    assert plan.target.name == "localhost"
    assert plan.changes
    done = await passing(clock, action.apply(plan, ctx))
    assert done.changed
    assert done.output["stdout"] == "it is on\n"
    assert clock.now() == START + timedelta(seconds=20)
    assert (await action.settled(plan, ctx)).progress is Progress.PROGRESSING
    assert (await action.settled(plan, ctx)).progress is Progress.HEALTHY
    assert (await action.undo(plan, ctx)).changed
    ran = [" ".join(command) for command in made.asked if command[1] in ("on", "off")]
    assert ran == ["/opt/ctl on", "/opt/ctl off"]


async def test_a_forgotten_command_says_how_to_add_it() -> None:
    made = commands({"command": RESTART})
    action, ctx = Exec(), Stage(ManualClock(), {ProcessRunner: made})
    other = Exec.Params.model_validate({"command": ["/bin/rm", "x"], "plan_text": "remove x"})
    with pytest.raises(Permanent, match=r"add \{command: \['/bin/rm', '\*\*'\], exit: 0\} to its"):
        await action.plan(other, ctx)
    stop = Exec.Params.model_validate(
        {"command": [*RESTART[:1], "stop", "nginx"], "plan_text": "stop"}
    )
    plan = await action.plan(stop, ctx)
    with pytest.raises(Permanent, match="systemctl', 'stop', 'nginx'], exit: 0} to its exec"):
        await action.apply(plan, ctx)
    assert made.asked == []


async def test_a_failure_is_told_as_by_a_real_program() -> None:
    clock = ManualClock()
    made = commands(
        {"command": RESTART, "answers": [{"exit": 5, "stderr": "Unit not found"}, {"exit": -9}]},
        clock=clock,
    )
    action, ctx = Exec(), Stage(clock, {ProcessRunner: made})
    given = {"command": RESTART, "check": ["/usr/bin/systemctl", "is-active", "nginx"],
             "plan_text": "restart"}  # fmt: skip
    made.change(LIST.validate_python([{"command": ["systemctl", "is-active", "**"], "exit": 1}]))
    plan = await action.plan(Exec.Params.model_validate(given), ctx)
    with pytest.raises(Temporary, match="ended with exit status 5: Unit not found"):
        await action.apply(plan, ctx)
    with pytest.raises(Temporary, match="ended by signal SIGKILL"):
        await action.apply(plan, ctx)


async def test_what_takes_too_long_is_killed_and_changes_nothing() -> None:
    clock = ManualClock()
    slow = {"command": ["slow"], "takes": "2m", "then": {"exec": [{"command": ["other"]}]}}
    made = commands(slow, {"command": ["hangs"], "timed_out": True}, clock=clock)
    killed = await passing(clock, run(made, "/bin/slow"))
    assert (killed.exit_code, killed.timed_out, killed.elapsed_s) == (None, True, 60.0)
    with pytest.raises(Refused):
        made.check("/bin/other")
    assert (await passing(clock, run(made, "/bin/hangs", timeout_s=5))).timed_out
    assert clock.now() == START + timedelta(seconds=65)
    ended = await passing(clock, run(made, "/bin/slow", timeout_s=121))
    assert (ended.exit_code, ended.elapsed_s) == (0, 120.0)
    made.check("/bin/other")
    assert [one.exit_code for one in made.started] == [None, None, 0]


async def test_a_command_changes_what_requests_get() -> None:
    clock = ManualClock()
    web = Web((), clock)
    then = {"http": [{"request": "GET http://a/health", "status": 204}]}
    made = Commands(LIST.validate_python([{"command": RESTART, "then": then}]), clock, web)
    await run(made, *RESTART)
    answer = await web.request("GET", "http://a/health", timeout_s=1, max_bytes=10)
    assert answer.status == 204


async def test_the_end_of_a_long_output_is_kept() -> None:
    made = commands({"command": ["talks"], "stdout": "a" * OUTPUT_BYTES + "the end"})
    ended = await run(made, "/bin/talks")
    assert (ended.truncated, len(ended.stdout)) == (True, OUTPUT_BYTES)
    assert ended.stdout.endswith("athe end")


@pytest.mark.parametrize(
    ("pattern", "command", "expected"),
    [
        (["/bin/a", "b"], ["/bin/a", "b"], True),
        (["a", "b"], ["/usr/bin/a", "b"], True),
        (["/bin/a"], ["/usr/bin/a"], False),
        (["a", "**"], ["/bin/a"], True),
        (["a", "b", "**"], ["/bin/a", "b", "c", "d"], True),
        (["a", "b", "**"], ["/bin/a", "c"], False),
        (["a", "*", "c"], ["/bin/a", "b", "c"], True),
        (["a", "*"], ["/bin/a"], False),
        (["a"], ["/bin/a", "b"], False),
        (["a", "b"], ["/bin/a"], False),
    ],
)
def test_which_commands_are_meant(pattern: list[str], command: list[str], expected: bool) -> None:
    assert fits(tuple(pattern), tuple(command)) is expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"command": []}], "at least 1"),
        ([{"command": ["a"], "exit": 1, "timed_out": True}], "has no exit status"),
        ([{"command": ["a"], "exit": 1, "answers": [{}]}], "below answers"),
    ],
)
def test_what_can_not_be_meant_is_refused(given: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        LIST.validate_python(given)
