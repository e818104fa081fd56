"""Proves of `exec`, with real programs: the action contract with check and undo; what its exit
statuses mean; that what a person approves is what runs; that nothing forbidden and no secret gets
into a plan; and that failure is told so that the engine does the careful thing."""

import json
import shlex
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from remediator.actions.exec import Exec, shown
from remediator.clients.process import ProcessRunner
from remediator.model.plans import Plan, Progress, Result
from remediator.plugin.action import Permanent, Stale, Temporary
from remediator.settings import ExecSettings
from tests.actions.contract import ActionContract, Bench, Case, params_of

# A switch in a file. Every use leaves a mark in the log beside it, reads only say so.
SWITCH = """#!{python} -IS
import sys
from pathlib import Path
file, verb = Path(sys.argv[1]), sys.argv[2]
if verb == "is":
    state = file.read_text()
    sys.exit(0 if state == sys.argv[3] else 1 if state in ("on", "off") else 2)
with open(str(file) + ".log", "a") as log:
    log.write(verb + "\\n")
file.write_text(verb)
print("it is", verb)
"""

ECHO = "/bin/echo"
SH = "/bin/sh"


class Switch:
    """A world of one switch, and the program that turns it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "switch"
        self.file.write_text("off")
        self.program = folder / "switch-ctl"
        self.program.write_text(SWITCH.format(python=sys.executable))
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)
        self.bench = bench(str(self.program))

    def call(self, *arguments: str) -> list[str]:
        return [str(self.program), str(self.file), *arguments]

    def params(self, **more: Any) -> dict[str, Any]:
        given = {
            "command": self.call("on"),
            "plan_text": "switch on",
            "check": self.call("is", "on"),
            "undo": self.call("off"),
            "target": "switch",
        }
        return {name: value for name, value in {**given, **more}.items() if value is not None}

    def meddle(self) -> None:
        self.file.write_text("broken")

    @property
    def uses(self) -> list[str]:
        log = Path(f"{self.file}.log")
        return log.read_text().split() if log.exists() else []

    @property
    def state(self) -> str:
        return self.file.read_text()


def bench(*allow: str, host: str = "host-1", environment: tuple[str, ...] = ()) -> Bench:
    settings = ExecSettings(allow=(ECHO, SH, *allow), host=host, environment=environment)
    known = {"PATH": "/usr/bin:/bin", "API_TOKEN": "s3cret-value"}
    return Bench(ProcessRunner(settings, known))


@pytest.fixture
def switch(tmp_path: Path) -> Switch:
    return Switch(tmp_path)


class TestContract(ActionContract):
    """The whole suite, with check, undo and settle."""

    @pytest.fixture
    def case(self, switch: Switch) -> Case:
        return Case(
            action=Exec(),
            params=switch.params(settle=[SH, "-c", 'test -f "$0"', str(switch.file)]),
            bench=switch.bench,
            state=lambda: switch.state,
            trace=lambda: [switch.state, switch.uses, switch.file.stat().st_mtime_ns],
            meddle=switch.meddle,
        )


async def plan(given: dict[str, Any], where: Bench) -> Plan:
    return await Exec().plan(Exec.Params.model_validate(given), where)


async def do(given: dict[str, Any], where: Bench) -> Result:
    return await Exec().apply(await plan(given, where), where)


def sh(script: str, **more: Any) -> dict[str, Any]:
    return {"command": [SH, "-c", script], "plan_text": "do it", **more}


async def test_a_plan_shows_what_will_run(switch: Switch) -> None:
    given = switch.params(environment={"ZONE": "a b"}, cwd="/tmp")  # noqa: S108 - only named
    made = await plan(given, switch.bench)
    assert str(made) == "command host-1/switch: switch on"
    assert [str(change) for change in made.changes] == [
        f"command: check: not in place → {shlex.join(switch.call('on'))}",
        "environment.ZONE: none → a b",
        "cwd: none → /tmp",
        f"check: none → {shlex.join(switch.call('is', 'on'))}",
        f"undo: none → {shlex.join(switch.call('off'))}",
    ]
    assert made.way_back is not None
    assert made.way_back.summary == f"run {shlex.join(switch.call('off'))}"
    assert made.checkable
    assert made.target.key == "host:host-1/Command/switch"


async def test_without_check_and_undo_the_plan_says_so() -> None:
    made = await plan({"command": [ECHO, "x"], "plan_text": "say x"}, bench())
    assert not made.checkable
    assert made.way_back is None
    assert made.no_way_back == "the runbook gives this command no undo"
    assert made.changes[0].before == "not run"
    assert made.target.name == "host-1"


async def test_in_place_already_is_an_empty_plan(switch: Switch) -> None:
    switch.file.write_text("on")
    made = await plan(switch.params(), switch.bench)
    assert made.empty
    assert made.summary == "switch on: in place already"


async def test_what_is_approved_is_bound_to_command_environment_and_directory() -> None:
    given = {"command": [ECHO, "x"], "plan_text": "say x", "environment": {"A": "1"}}
    first = await plan(given, bench())
    for other in ({"command": [ECHO, "y"]}, {"environment": {"A": "2"}}, {"cwd": "/var"}):
        assert (await plan({**given, **other}, bench())).digest != first.digest


async def test_the_output_is_what_later_steps_read() -> None:
    result = await do(sh("echo one; echo two; echo oops >&2"), bench())
    assert result.message == "do it: two"
    assert result.changed
    assert result.output["stdout"] == "one\ntwo\n"
    assert result.output["stderr"] == "oops\n"
    assert result.output["exit_code"] == 0


async def test_a_command_that_failed_may_have_changed_something() -> None:
    """Temporary: the engine then counts the step as one that may have to be taken back."""
    with pytest.raises(Temporary, match="sh ended with exit status 4: no room"):
        await do(sh("echo no room >&2; exit 4"), bench())
    with pytest.raises(Temporary, match="sh was ended by signal SIGKILL"):
        await do(sh("kill -9 $$"), bench())
    with pytest.raises(Temporary, match="sh did not end within 200ms and was killed"):
        await do(sh("sleep 60", timeout="200ms"), bench())


async def test_success_that_the_check_denies_is_an_error(switch: Switch) -> None:
    given = switch.params(command=[ECHO, "nothing"])
    with pytest.raises(Permanent, match="succeeded, but its check says that the change is not in"):
        await Exec().apply(await plan(given, switch.bench), bench(str(switch.program)))


async def test_what_a_check_may_answer(switch: Switch) -> None:
    ask_again = switch.params(check=[SH, "-c", "echo locked >&2; exit 75"])
    with pytest.raises(Temporary, match=r"the check can't tell now: sh ended.*75: locked"):
        await plan(ask_again, switch.bench)
    switch.file.write_text("broken")
    with pytest.raises(Permanent, match=r"neither 0 \(in place\) nor 1 .* exit status 2"):
        await plan(switch.params(), switch.bench)
    too_slow = switch.params(check=[SH, "-c", "sleep 60"], timeout="200ms")
    with pytest.raises(Temporary, match="the check can't tell now: sh did not end"):
        await plan(too_slow, switch.bench)


async def test_a_check_that_breaks_after_the_command_leaves_the_undo_to_look(
    switch: Switch,
) -> None:
    made = await plan(switch.params(command=switch.call("neither")), switch.bench)
    with pytest.raises(Temporary, match="neither 0"):
        await Exec().apply(made, switch.bench)


@pytest.mark.parametrize(
    ("status", "progress"),
    [(0, Progress.HEALTHY), (1, Progress.PROGRESSING), (2, Progress.FAILED), (9, Progress.FAILED)],
)
async def test_what_settle_may_answer(status: int, progress: Progress) -> None:
    script = f"echo 3 of 4 warm; exit {status}"
    where = bench()
    made = await plan({**sh(":"), "settle": [SH, "-c", script]}, where)
    settled = await Exec().settled(made, where)
    assert settled.progress is progress
    assert "3 of 4 warm" in settled.message


async def test_settle_that_can_not_tell_is_asked_again() -> None:
    where = bench()
    made = await plan({**sh(":"), "settle": [SH, "-c", "exit 75"]}, where)
    with pytest.raises(Temporary):
        await Exec().settled(made, where)


async def test_without_settle_the_check_must_still_agree(switch: Switch) -> None:
    made = await plan(switch.params(), switch.bench)
    await Exec().apply(made, switch.bench)
    assert (await Exec().settled(made, switch.bench)).progress is Progress.HEALTHY
    switch.file.write_text("off")
    assert (await Exec().settled(made, switch.bench)).progress is Progress.FAILED


async def test_an_undo_without_check_runs_once_and_is_not_repeated_blindly(switch: Switch) -> None:
    made = await plan(switch.params(check=None), switch.bench)
    await Exec().apply(made, switch.bench)
    undone = await Exec().undo(made, switch.bench)
    assert undone.changed
    assert switch.uses == ["on", "off"]
    failing = await plan(switch.params(check=None, undo=[SH, "-c", "exit 3"]), switch.bench)
    with pytest.raises(Permanent, match="exit status 3; nobody can check what it did"):
        await Exec().undo(failing, switch.bench)
    busy = await plan(switch.params(check=None, undo=[SH, "-c", "exit 75"]), switch.bench)
    with pytest.raises(Temporary):
        await Exec().undo(busy, switch.bench)


async def test_an_undo_that_does_not_undo_is_told(switch: Switch) -> None:
    made = await plan(switch.params(undo=[ECHO, "nothing"]), switch.bench)
    await Exec().apply(made, switch.bench)
    with pytest.raises(Permanent, match="the change is still in place"):
        await Exec().undo(made, switch.bench)


async def test_another_host_does_not_carry_out_this_one_s_plan(switch: Switch) -> None:
    made = await plan(switch.params(), switch.bench)
    with pytest.raises(Stale, match="planned on host-1, and this is host-2"):
        await Exec().apply(made, bench(str(switch.program), host="host-2"))
    assert switch.uses == []


@pytest.mark.parametrize("part", ["command", "check", "undo", "settle"])
async def test_a_forbidden_program_is_refused_before_anybody_is_asked(
    switch: Switch, part: str
) -> None:
    given = switch.params(**{part: ["/usr/bin/forbidden"]})
    with pytest.raises(Permanent, match=r"'/usr/bin/forbidden' may not be started.*exec\.allow"):
        await plan(given, switch.bench)
    assert switch.uses == []


async def test_secrets_of_the_daemon_are_masked_in_what_is_kept() -> None:
    where = bench(environment=("API_TOKEN",))
    result = await do(sh("echo using $API_TOKEN"), where)
    assert result.message == "do it: using ***"
    with pytest.raises(Temporary) as failed:
        await do(sh("echo bad $API_TOKEN >&2; exit 1"), where)
    assert "s3cret" not in json.dumps(result.output) + str(failed.value)


async def test_what_looks_like_a_secret_in_an_output_stays_out_of_the_journal() -> None:
    result = await do(sh("echo one password=hunter2hunter2"), bench())
    assert result.message == "do it: one password=***"
    assert result.output["stdout"] == "one password=***\n"
    with pytest.raises(Temporary) as failed:
        await do(sh("echo token=hunter2hunter2 >&2; exit 3"), bench())
    assert "hunter2" not in str(failed.value)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"command": []}, "at least 1 item"),
        ({"command": ["echo", "x"]}, "no absolute path"),
        ({"check": ["./check"]}, "no absolute path"),
        ({"command": [ECHO, "a\0b"]}, "NUL"),
        ({"environment": {"API_TOKEN": "s3cret-value"}}, "API_TOKEN looks like a secret"),
        (
            {"environment": {"DB": "postgres://app:s3cret@db/x"}},
            "DB holds a URL with a password",
        ),
        ({"environment": {"LD_PRELOAD": "/x.so"}}, "LD_PRELOAD would load foreign code"),
        ({"environment": {"a=b": "c"}}, "no name of a variable"),
        ({"environment": {"A": "b\0"}}, "NUL"),
        ({"timeout": "0s"}, "longer than 0s"),
        ({"timeout": "7h"}, "at most 6h"),
        ({"cwd": "tmp"}, "no absolute path"),
        ({"plan_text": ""}, "at least 1 character"),
        ({"shell": True}, "Extra inputs"),
    ],
)
def test_what_can_not_be_meant_is_refused_at_load(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        params_of(Exec(), {"command": [ECHO], "plan_text": "say", **given})
    messages = [fault["msg"] for fault in refused.value.errors()]
    assert "s3cret" not in " ".join(messages)


def test_permissions_name_each_program_once(switch: Switch) -> None:
    needed = Exec().permissions(Exec.Params.model_validate(switch.params()))
    assert [(p.system, p.resource, p.verbs) for p in needed] == [
        ("host", str(switch.program), ("execute",))
    ]


async def test_nobody_approves_what_they_do_not_see() -> None:
    turned = "safe\u202egnp.exe"
    made = await plan(
        {"command": [ECHO, turned, "a\nb", "\x1b[2J"], "plan_text": f"show {turned}\n"}, bench()
    )
    text = str(made) + str(made.changes[0])
    assert text.isprintable()
    assert "\\U0000202e" in text


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_a_shown_command_is_printable_and_is_that_command(arguments: list[str]) -> None:
    text = shown(arguments)
    assert text.isprintable()
    if all(argument.isprintable() for argument in arguments):
        assert shlex.split(text) == arguments


@pytest.mark.parametrize("part", ["check", "undo", "settle"])
async def test_an_approval_is_bound_to_every_command(switch: Switch, part: str) -> None:
    first = await plan(switch.params(), switch.bench)
    other = [*switch.call("is", "on"), "--otherwise"]
    second = await plan(switch.params(**{part: other}), switch.bench)
    assert second.digest != first.digest
    assert f"{part}: none → {shown(other)}" in [str(change) for change in second.changes]
