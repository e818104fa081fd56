"""`exec`: a local command as an argument list, with its own check, undo and settle commands.

No shell is ever involved: an argument that comes out of an alert stays one argument, whatever
characters it holds, and can't become a command; the same holds for the environment. Only programs
in `exec.allow` start. What a program makes of its arguments is the program's: do not allow
`/bin/sh`, and put `--` before a value that may begin with a dash.

With `check` a plan can be checked: before and after it is known whether the change is in place,
and after a crash the step goes on by itself. Without, a crash inside the command ends the run
`interrupted`. A command dies with the daemon, `kill -9` included (see `clients.guard`): the check
that follows the restart must not look at a world that an orphan is still changing.

A command that has failed may have changed something. So whatever may have run is `Temporary`:
the engine tries again if the runbook says `retry`, and takes it back. `Permanent` says that trying
again is no use: nothing could be run, the check contradicts the command, or a command ran that
nobody can check.
"""

import os
import re
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from remediator.clients.errors import ClientError, Unavailable
from remediator.clients.process import Finished, ProcessRunner, looks_secret, passwords
from remediator.model.canonical import JSONObject
from remediator.model.plans import Change, Impact, Plan, Progress, Result, Settled, Target, WayBack
from remediator.model.quantities import Duration, format_duration
from remediator.observe import masking
from remediator.plugin.action import (
    Action,
    ActionError,
    ActionParams,
    Permanent,
    Permission,
    Stale,
    Temporary,
)
from remediator.plugin.context import Context

IN_PLACE = 0
NOT_IN_PLACE = 1
# sysexits.h, EX_TEMPFAIL: "the user is invited to retry".
TRY_AGAIN = os.EX_TEMPFAIL
# Longer than anybody waits for one step; the step's own timeout is usually shorter.
_LONGEST = timedelta(hours=6)
# One line on a phone.
_LONGEST_LINE = 200
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _command(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value[0].startswith("/"):
        raise ValueError(
            f"{value[0]!r} is no absolute path; name the program as exec.allow in the settings does"
        )
    if any("\0" in argument for argument in value):
        raise ValueError("an argument can't hold a NUL character")
    return value


def _environment(value: Mapping[str, str]) -> Mapping[str, str]:
    for name, content in value.items():
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a variable")
        if name.startswith("LD_"):
            raise ValueError(f"{name} would load foreign code into an allowed program")
        if looks_secret(name):
            raise ValueError(
                f"{name} looks like a secret, which would end up in the journal; set it in the "
                "daemon's environment and name it under exec.environment in the settings"
            )
        if "\0" in content:
            raise ValueError(f"{name} can't hold a NUL character")
        if passwords(content):
            raise ValueError(
                f"{name} holds a URL with a password, which would end up in the journal; set it in "
                "the daemon's environment and name it under exec.environment in the settings"
            )
    return value


def _timeout(value: timedelta) -> timedelta:
    if not timedelta() < value <= _LONGEST:
        raise ValueError(f"a timeout is longer than 0s and at most {format_duration(_LONGEST)}")
    return value


def _absolute(value: str) -> str:
    if not value.startswith("/") or "\0" in value:
        raise ValueError(f"{value!r} is no absolute path")
    return value


Command = Annotated[tuple[str, ...], Field(min_length=1, max_length=1000), AfterValidator(_command)]


@dataclass(frozen=True, slots=True)
class _Work:
    """What a plan's details hold: how to carry out one direction, and how to look."""

    command: Sequence[str]
    check: Sequence[str] | None
    settle: Sequence[str] | None
    environment: Mapping[str, str]
    cwd: str
    timeout_s: float
    done_when: int
    """The check's exit status that says that this direction is carried out."""

    @classmethod
    def of(cls, plan: Plan) -> "_Work":
        details: Mapping[str, Any] = plan.details
        return cls(**details)

    @property
    def blind_undo(self) -> bool:
        """An undo that can't be checked; the engine tries undo again for a long time otherwise."""
        return self.check is None and self.done_when == NOT_IN_PLACE

    def to_json(self) -> JSONObject:
        return {name: getattr(self, name) for name in self.__slots__}


class Exec(Action["Exec.Params"]):
    """Runs a command on the daemon's machine."""

    name = "exec"
    summary = "Run a local command, without a shell."
    example = """
command: [/usr/local/bin/cache-ctl, flush, --zone, "shop"]
plan_text: flush the cache zone shop
check: [/usr/local/bin/cache-ctl, is-empty, --zone, "shop"]
settle: [/usr/local/bin/cache-ctl, is-warm, --zone, "shop"]
environment: {CACHE_HOST: cache-1.example.org}
timeout: 30s
target: cache-shop
"""

    class Params(ActionParams):
        """What to run, and how to find out about it. Each command is a list: program, arguments."""

        command: Command
        """The change. Exit status 0 is success, 75 means «try again», all else is failure."""
        plan_text: Annotated[str, Field(min_length=1, max_length=300)]
        """What people read before they approve: one line that says what the command changes."""
        check: Command | None = None
        """Says whether the change is in place: exit status 0 yes, 1 no, 75 ask again, all else
        is an error. It must only read; it runs to plan, before and after the command."""
        undo: Command | None = None
        """Takes the change back. Where there is a check, it must answer 1 afterwards."""
        settle: Command | None = None
        """Says whether the target is well after the change (and after undo): exit status 0 yes,
        1 not yet, all else no. It must only read; it is asked every few seconds."""
        environment: Annotated[
            Mapping[str, str], Field(max_length=100), AfterValidator(_environment)
        ] = Field(default_factory=dict)
        """Variables beside those of exec.environment in the settings. No secrets: what is written
        here is in the journal."""
        timeout: Annotated[Duration, AfterValidator(_timeout)] = timedelta(minutes=1)
        """For each of the processes; then it and its children get SIGTERM, and soon SIGKILL."""
        target: Annotated[str, Field(max_length=200)] = ""
        """The name of what is changed, which locks, limits and cooldowns count by. Default: the
        whole host, so that only one command without a target is at work at a time."""
        cwd: Annotated[str, AfterValidator(_absolute)] = "/"
        """The working directory."""

    def permissions(self, params: Params) -> Sequence[Permission]:
        """Return the programs that `exec.allow` must hold."""
        programs = sorted({command[0] for command in _commands(params)})
        return [Permission("host", program, ("execute",)) for program in programs]

    async def plan(self, params: Params, ctx: Context) -> Plan:
        """Look with `check` whether there is something to do."""
        runner = ctx.client(ProcessRunner)
        _refuse_forbidden(runner, params)
        work = _work(params, params.command, IN_PLACE)
        target = Target(
            "host", "Command", runner.host, _spelt(params.target) or runner.host, uid=runner.host
        )
        text = _spelt(params.plan_text).strip()
        impact = Impact(note=f"runs a command on {runner.host}")
        if params.check and await _carried_out(runner, work, Permanent):
            done = f"{text}: in place already"
            return Plan("exec", target, (), impact, done, details=work.to_json())
        before = "check: not in place" if params.check else "not run"
        return Plan(
            action="exec",
            target=target,
            changes=(Change("command", before, shown(params.command)), *_circumstances(params)),
            impact=impact,
            summary=text,
            way_back=(
                WayBack(
                    f"run {shown(params.undo)}", _work(params, params.undo, NOT_IN_PLACE).to_json()
                )
                if params.undo
                else None
            ),
            no_way_back="" if params.undo else "the runbook gives this command no undo",
            details=work.to_json(),
            checkable=params.check is not None,
        )

    async def apply(self, plan: Plan, ctx: Context) -> Result:
        """Run the command, unless the check says that it is done; then check again.

        Undo is this with `plan.inverse()`: the undo command, until the check says «not in place».
        """
        runner = ctx.client(ProcessRunner)
        if plan.target.scope != runner.host:
            raise Stale(
                f"planned on {plan.target.scope}, and this is {runner.host}: what a command would "
                "find here is another machine"
            )
        work = _Work.of(plan)
        text = plan.summary
        if work.check and await _carried_out(runner, work, Stale):
            return Result(f"{text}: done already", changed=False)
        await ctx.prove_alive()
        finished = await _run(runner, work, work.command)
        if finished.exit_code != 0:
            text = _failure(work.command, finished, work.timeout_s)
            if work.blind_undo and finished.exit_code != TRY_AGAIN:
                raise Permanent(f"{text}; nobody can check what it did, so it is not tried again")
            raise Temporary(text)
        if work.check and not await _carried_out(runner, work, Temporary):
            raise Permanent(
                f"{shown(work.command)} succeeded, but its check says that the change is "
                f"{'not ' if work.done_when == IN_PLACE else 'still '}in place"
            )
        said = _line(_last_line(finished.stdout))
        return Result(f"{text}: {said}" if said else f"{text}: done", output=_output(finished))

    async def settled(self, plan: Plan, ctx: Context) -> Settled:
        """Ask `settle`, else `check`, else believe the command."""
        runner = ctx.client(ProcessRunner)
        work = _Work.of(plan)
        if work.settle is None:
            if work.check is None or await _carried_out(runner, work, Permanent):
                return Settled(Progress.HEALTHY, "")
            return Settled(Progress.FAILED, "its check says that this did not last")
        finished = await _run(runner, work, work.settle)
        if finished.exit_code is None or finished.exit_code == TRY_AGAIN:
            raise Temporary(_failure(work.settle, finished, work.timeout_s))
        said = _line(_last_line(finished.stdout) or _last_line(finished.stderr))
        if finished.exit_code == 0:
            return Settled(Progress.HEALTHY, said or "healthy")
        if finished.exit_code == 1:
            return Settled(Progress.PROGRESSING, said or "not healthy yet")
        return Settled(Progress.FAILED, _failure(work.settle, finished, work.timeout_s))


def shown(command: Sequence[str]) -> str:
    """Return a command for people, quoted as a shell would read it.

    Characters that a terminal or a screen would act on or hide (newlines, escapes, marks that turn
    the direction of writing) are spelt out, so that nobody approves what they do not see.
    """
    return " ".join(
        shlex.quote(a) if a.isprintable() else f"$'{_spelt(a, quote=True)}'" for a in command
    )


def _spelt(text: str, *, quote: bool = False) -> str:
    spelt = []
    for character in text:
        if quote and character in "\\'":
            spelt.append(f"\\{character}")
        elif character.isprintable():
            spelt.append(character)
        else:
            code = ord(character)
            spelt.append(f"\\x{code:02x}" if code < 128 else f"\\U{code:08x}")
    return "".join(spelt)


def _line(text: str) -> str:
    return masking.text(_spelt(text)[:_LONGEST_LINE].strip())


def _last_line(text: str) -> str:
    lines = text.rstrip().splitlines()
    return lines[-1] if lines else ""


def _commands(params: Exec.Params) -> Sequence[Sequence[str]]:
    return [c for c in (params.command, params.check, params.undo, params.settle) if c]


def _refuse_forbidden(runner: ProcessRunner, params: Exec.Params) -> None:
    """Refuse before anybody is asked for approval, not half-way through."""
    try:
        for command in _commands(params):
            runner.check(command[0])
    except ClientError as error:
        raise Permanent(str(error)) from None


def _work(params: Exec.Params, command: Sequence[str], done_when: int) -> _Work:
    return _Work(
        command=list(command),
        check=list(params.check) if params.check else None,
        settle=list(params.settle) if params.settle else None,
        environment=dict(params.environment),
        cwd=params.cwd,
        timeout_s=params.timeout.total_seconds(),
        done_when=done_when,
    )


def _circumstances(params: Exec.Params) -> Sequence[Change]:
    """What bears on the command's effect belongs to what people approve, and so to the digest."""
    given = [
        Change(f"environment.{name}", None, _spelt(value))
        for name, value in sorted(params.environment.items())
    ]
    if params.cwd != "/":
        given.append(Change("cwd", None, _spelt(params.cwd)))
    others = (("check", params.check), ("undo", params.undo), ("settle", params.settle))
    return [*given, *(Change(name, None, shown(command)) for name, command in others if command)]


async def _carried_out(runner: ProcessRunner, work: _Work, neither: type[ActionError]) -> bool:
    """Ask the check whether this direction is carried out.

    Raises:
        ActionError: of the type `neither`, when the check answers neither yes nor no.
        Temporary: it can't tell now.
    """
    assert work.check is not None, "only asked where there is one"  # noqa: S101 - callers check
    finished = await _run(runner, work, work.check)
    if finished.exit_code in (IN_PLACE, NOT_IN_PLACE):
        return finished.exit_code == work.done_when
    text = _failure(work.check, finished, work.timeout_s)
    if finished.exit_code is None or finished.exit_code == TRY_AGAIN:
        raise Temporary(f"the check can't tell now: {text}")
    raise neither(f"the check answers neither 0 (in place) nor 1 (not in place): {text}")


async def _run(runner: ProcessRunner, work: _Work, command: Sequence[str]) -> Finished:
    try:
        return await runner.run(
            command, environment=work.environment, cwd=work.cwd, timeout_s=work.timeout_s
        )
    except Unavailable as error:
        raise Temporary(str(error), error.after) from None
    except ClientError as error:
        raise Permanent(str(error)) from None


def _failure(command: Sequence[str], finished: Finished, timeout_s: float) -> str:
    """Say how a command ended and the last that it wrote."""
    program = PurePosixPath(command[0]).name
    code = finished.exit_code
    if finished.timed_out:
        how = f"did not end within {format_duration(timedelta(seconds=timeout_s))} and was killed"
    elif code is None:
        how = "ended and nobody saw how: the process that guards it was killed"
    elif code < 0:
        how = f"was ended by signal {_signal_name(-code)}"
    else:
        how = f"ended with exit status {code}"
    said = _line(_last_line(finished.stderr) or _last_line(finished.stdout))
    return f"{program} {how}: {said}" if said else f"{program} {how}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _output(finished: Finished) -> JSONObject:
    return {
        "exit_code": finished.exit_code,
        # What looks like a secret stays out of the journal, and so out of everything that reads it.
        "stdout": masking.text(finished.stdout),
        "stderr": masking.text(finished.stderr),
        "truncated": finished.truncated,
        "elapsed_s": round(finished.elapsed_s, 3),
    }
