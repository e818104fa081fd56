"""Proves of local commands, with real programs and on both event loops: no shell, only allowed
programs, a bounded output, an isolated environment, masked secrets, and that nothing is left at
work after a timeout, a cancellation, or `kill -9` of the daemon."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from remediator.clients import process
from remediator.clients.errors import Refused
from remediator.clients.process import Finished, ProcessRunner, looks_secret
from remediator.settings import ExecSettings
from tests.servers.waiting import eventually

SH = "/bin/sh"
PYTHON = sys.executable
ROOT = Path(__file__).parents[2]
ALLOW = (SH, PYTHON, "/usr/bin/env", "/bin/cat", "/bin/echo", "/nowhere/program")

Go = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def go(request: pytest.FixtureRequest) -> Go:
    """Runs a coroutine on the one or the other event loop."""
    return asyncio.run if request.param == "asyncio" else uvloop.run


async def run(
    *command: str,
    environment: dict[str, str] | None = None,
    timeout_s: float = 20.0,
    cwd: str = "/",
    known: dict[str, str] | None = None,
    settings: ExecSettings | None = None,
    grace_s: float = process.GRACE_S,
) -> Finished:
    settings = settings or ExecSettings(allow=ALLOW)
    runner = ProcessRunner(settings, known or {"PATH": "/usr/bin:/bin"}, grace_s=grace_s)
    return await runner.run(command, environment=environment or {}, cwd=cwd, timeout_s=timeout_s)


def gone(pid: int) -> bool:
    """Whether a process is no longer at work; a zombie is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def pids_in(file: Path, count: int) -> list[int]:
    eventually(
        lambda: file.exists() and len(file.read_text().split()) == count,
        10,
        what=f"{count} process ids in {file}",
    )
    return [int(pid) for pid in file.read_text().split()]


def test_arguments_reach_the_program_as_they_are(go: Go) -> None:
    nasty = ["$(id)", "; rm -rf /", "a b", "", "'\"\\", "*", "\n", "–🚒", "&& true"]
    echo = "import sys, json; print(json.dumps(sys.argv[1:]))"
    finished = go(run(PYTHON, "-c", echo, *nasty))
    assert json.loads(finished.stdout) == nasty
    assert finished.exit_code == 0


def test_exit_statuses_and_signals_are_told(go: Go) -> None:
    assert go(run(SH, "-c", "exit 0")).exit_code == 0
    assert go(run(SH, "-c", "exit 3")).exit_code == 3
    assert go(run(SH, "-c", "kill -KILL $$")).exit_code == -signal.SIGKILL


def test_only_allowed_programs_start() -> None:
    with pytest.raises(Refused, match=r"'/bin/ls' may not be started.*exec\.allow"):
        asyncio.run(run("/bin/ls"))
    with pytest.raises(Refused, match=r"exec\.allow"):
        asyncio.run(run("/bin/../bin/sh"))
    with pytest.raises(Refused, match=r"exec\.allow"):
        asyncio.run(run(SH, settings=ExecSettings()))


def test_what_can_not_be_started_says_why(go: Go, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"/nowhere/program can't be started: No such file"):
        go(run("/nowhere/program"))
    with pytest.raises(Refused, match=r"can't be started in /nowhere: No such file"):
        go(run(SH, cwd="/nowhere"))
    with pytest.raises(Refused, match="NUL"):
        go(run(SH, "a\0b"))
    with pytest.raises(Refused, match="too long"):
        go(run(SH, "x" * 5_000_000))
    with pytest.raises(Refused, match="Argument list too long"):
        go(run(SH, "x" * 3_000_000))
    plain = tmp_path / "plain"
    plain.write_text("no program")
    with pytest.raises(Refused, match="Permission denied"):
        go(run(str(plain), settings=ExecSettings(allow=(str(plain),))))


def test_the_environment_holds_what_is_named_and_nothing_else(go: Go) -> None:
    settings = ExecSettings(allow=ALLOW, environment=("HOME", "NOT_SET", "SHADOWED"))
    known = {"HOME": "/h", "DAEMON_ONLY": "x", "SHADOWED": "old"}
    given = {"GIVEN": "a=b\nc", "SHADOWED": "new"}
    finished = go(run("/usr/bin/env", "-0", environment=given, known=known, settings=settings))
    lines = sorted(filter(None, finished.stdout.split("\0")))
    assert lines == ["GIVEN=a=b\nc", "HOME=/h", "SHADOWED=new"]


def test_the_command_starts_clean(go: Go, tmp_path: Path) -> None:
    """Its directory, empty standard input, no foreign file descriptors, no ignored signals."""
    script = "pwd; cat; set -- /proc/$$/fd/*; echo $#; grep SigIgn /proc/$$/status"
    cwd, files, ignored = go(run(SH, "-c", script, cwd=str(tmp_path))).stdout.splitlines()
    assert cwd == str(tmp_path)
    assert int(files) == 4, "the three, and the folder that the shell is reading"
    ordinary = (1 << 31) - 1  # the two above are glibc's own
    assert int(ignored.split()[1], 16) & ordinary == 0


def test_a_flood_of_output_keeps_the_end(go: Go) -> None:
    flood = "import sys\nfor i in range(40): sys.stdout.write('x' * 500_000)\nprint('the end')"
    finished = go(run(PYTHON, "-c", flood))
    assert finished.truncated
    assert len(finished.stdout) == process.OUTPUT_BYTES
    assert finished.stdout.endswith("xx" + "the end\n")
    assert finished.stderr == ""


def test_what_is_no_text_is_replaced(go: Go) -> None:
    finished = go(run(PYTHON, "-c", r"import os; os.write(1, b'a\xff\xfeb'); os.write(2, b'\x80')"))
    assert finished.stdout == "a��b"
    assert finished.stderr == "�"
    assert not finished.truncated


def test_a_timeout_ends_the_whole_group_with_grace(go: Go, tmp_path: Path) -> None:
    """The command gets SIGTERM and may say goodbye; its child dies as well."""
    file = tmp_path / "pids"
    script = f"trap 'echo goodbye; exit 0' TERM; sleep 300 & echo $$ $! > {file}; wait"
    finished = go(run(SH, "-c", script, timeout_s=0.5))
    assert finished.timed_out
    assert finished.exit_code is None
    assert finished.stdout == "goodbye\n"
    assert finished.elapsed_s < process.GRACE_S
    for pid in pids_in(file, 2):
        eventually(lambda pid=pid: gone(pid), 5, what=f"process {pid} to end")  # type: ignore[misc]


def test_who_ignores_sigterm_is_killed(go: Go, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    script = f"trap '' TERM; sleep 300 & echo $$ $! > {file}; wait; wait"
    finished = go(run(SH, "-c", script, timeout_s=0.5, grace_s=0.3))
    assert finished.timed_out
    for pid in pids_in(file, 2):
        eventually(lambda pid=pid: gone(pid), 5, what=f"process {pid} to end")  # type: ignore[misc]


def test_what_a_command_leaves_behind_ends_with_it(go: Go, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    finished = go(run(SH, "-c", f"sleep 300 & echo $! > {file}"))
    assert finished.exit_code == 0
    (pid,) = pids_in(file, 1)
    eventually(lambda: gone(pid), 5, what="the orphan to end")


def test_a_daemon_that_makes_its_own_session_stays_and_does_not_hold_us(
    go: Go, tmp_path: Path
) -> None:
    """Even when it holds our pipe open."""
    file = tmp_path / "pids"
    finished = go(run(SH, "-c", f"setsid sleep 300 & echo $! > {file}; sleep 0.2; echo started"))
    (pid,) = pids_in(file, 1)
    try:
        assert finished.stdout == "started\n"
        assert finished.elapsed_s < 5
        assert not gone(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_cancelling_ends_the_command(go: Go, tmp_path: Path) -> None:
    file = tmp_path / "pids"

    async def cancel() -> None:
        command = run(SH, "-c", f"sleep 300 & echo $$ $! > {file}; wait")
        task = asyncio.create_task(command)
        while not file.exists() or len(file.read_text().split()) < 2:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    go(cancel())
    for pid in pids_in(file, 2):
        eventually(lambda pid=pid: gone(pid), 5, what=f"process {pid} to end")  # type: ignore[misc]


def test_close_ends_what_runs(go: Go, tmp_path: Path) -> None:
    file = tmp_path / "pids"

    async def close() -> Finished:
        runner = ProcessRunner(ExecSettings(allow=ALLOW))
        command = (SH, "-c", f"echo $$ > {file}; exec sleep 300")
        task = asyncio.create_task(runner.run(command, environment={}, cwd="/", timeout_s=60))
        while not file.exists() or not file.read_text().strip():  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.01)
        await runner.close()
        return await task

    finished = go(close())
    assert finished.exit_code is None
    assert not finished.timed_out
    (pid,) = pids_in(file, 1)
    eventually(lambda: gone(pid), 5, what="the command to end")


DAEMON = """
import asyncio, sys
from remediator.clients.process import ProcessRunner
from remediator.settings import ExecSettings
runner = ProcessRunner(ExecSettings(allow=("/bin/sh",)))
script = f"trap '' TERM; sleep 300 & echo $$ $! > {sys.argv[1]}; wait"
asyncio.run(runner.run(["/bin/sh", "-c", script], environment={}, cwd="/", timeout_s=300))
"""


def test_nothing_outlives_a_killed_daemon(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    with subprocess.Popen([PYTHON, "-c", DAEMON, str(file)], cwd=ROOT) as daemon:
        command, child = pids_in(file, 2)
        assert not gone(command)
        assert not gone(child)
        daemon.kill()
    eventually(lambda: gone(command) and gone(child), 5, what="the orphans to end")


def test_neither_zombies_nor_file_descriptors_pile_up(go: Go) -> None:
    async def many() -> tuple[int, int]:
        await run(SH, "-c", ":")
        before = open_files()
        finished = await asyncio.gather(*(run(SH, "-c", f"echo {n}") for n in range(12)))
        assert [f.stdout for f in finished] == [f"{n}\n" for n in range(12)]
        return before, open_files()

    before, after = go(many())
    assert after <= before
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert [pid for pid in children if gone(int(pid))] == []


def test_secrets_of_the_environment_are_masked_in_outputs(go: Go) -> None:
    settings = ExecSettings(allow=ALLOW, environment=("API_TOKEN", "REGION"))
    known = {"API_TOKEN": "s3cret-value", "REGION": "eu-north"}
    script = "echo token $API_TOKEN in $REGION; echo $API_TOKEN$API_TOKEN >&2"
    finished = go(run(SH, "-c", script, known=known, settings=settings))
    assert finished.stdout == "token *** in eu-north\n"
    assert finished.stderr == "******\n"


@pytest.mark.parametrize("shift", range(0, 26, 5))
def test_a_secret_cut_in_two_by_the_limit_is_not_shown(shift: int) -> None:
    secret = "the-secret-of-26-characters"[:26]
    settings = ExecSettings(allow=ALLOW, environment=("API_TOKEN",))
    after = process.OUTPUT_BYTES - shift
    script = f"import os; os.write(1, os.environb[b'API_TOKEN'] + b'.' * {after})"
    finished = asyncio.run(
        run(PYTHON, "-c", script, known={"API_TOKEN": secret}, settings=settings)
    )
    assert secret[-5:] not in finished.stdout
    assert finished.stdout.strip(".*") == ""


@pytest.mark.parametrize(
    "name",
    [
        "TOKEN", "api_token", "DB_PASSWORD", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "APIKEY",
        "API_KEY", "DB_PWD", "VAULT_TOKEN_OLD", "GITHUB_PAT", "SENTRY_DSN", "CLIENT_SECRET",
        "VAULT_SECRET_ID", "AUTH", "GH_AUTH", "JWT", "TOKENS", "CONNECTION_STRING", "PGPASS",
        "SLACK_WEBHOOK_URL", "BEARER", "SECRETS", "DB_PASS",
    ],
)  # fmt: skip
def test_names_that_look_secret(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HOME", "LANG", "PWD", "OLDPWD", "TOKEN_FILE", "AWS_ACCESS_KEY_ID", "SECRET_NAME",
        "SSH_AUTH_SOCK", "REGION", "KEYBOARD", "COMPASS", "BYPASS", "OS_AUTH_URL", "ROLE_ID",
    ],
)  # fmt: skip
def test_names_that_do_not_look_secret(name: str) -> None:
    assert not looks_secret(name)


def test_what_the_daemon_hands_on_is_masked_unless_it_is_plain(go: Go) -> None:
    known = {
        "DATABASE_URL": "postgres://app:hunter2@db/x",
        "MIRROR_HOST": "https://bot:pa%24s@mirror.example.org/",
        "VAULT_SECRET_ID": "0d1b-secret",
        "DEPLOY_HOOK": "https://hooks.example.org/T0/B0",
        "CACHE_HOST": "cache-1.example.org",
        "FEATURE": "fast",
    }
    settings = ExecSettings(allow=ALLOW, environment=(*known, "PATH"))
    known |= {"PATH": "/usr/bin:/bin"}
    finished = go(run("/usr/bin/env", known=known, settings=settings))
    lines = set(finished.stdout.split())
    assert {"DATABASE_URL=***", "VAULT_SECRET_ID=***", "DEPLOY_HOOK=***"} <= lines
    assert {"CACHE_HOST=cache-1.example.org", "FEATURE=fast", "PATH=/usr/bin:/bin"} <= lines
    assert "MIRROR_HOST=https://***@mirror.example.org/" in lines
    # A program that takes the URL apart shows its password by itself.
    apart = go(run("/bin/echo", "hunter2", "pa$s", known=known, settings=settings))
    assert apart.stdout == "*** ***\n"


@pytest.mark.parametrize(("length", "more"), [(0, False), (1, True), (30, True), (200, True)])
def test_what_is_cut_off_is_said(length: int, more: bool) -> None:
    settings = ExecSettings(allow=ALLOW, environment=("API_TOKEN",))
    script = f"import os; os.write(1, b'.' * {process.OUTPUT_BYTES + length})"
    finished = asyncio.run(
        run(PYTHON, "-c", script, known={"API_TOKEN": "t" * 60}, settings=settings)
    )
    assert finished.truncated is more


def test_a_command_dies_with_its_guard(go: Go, tmp_path: Path) -> None:
    """Whoever kills the guard, such as the kernel out of memory, leaves no orphan at work."""
    told = tmp_path / "pids"

    async def kill_the_guard() -> Finished:
        script = f"echo $$ $PPID > {told}.new; mv {told}.new {told}; sleep 77 & wait"
        running = asyncio.create_task(run(SH, "-c", script))
        while not told.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
        os.kill(int(told.read_text().split()[1]), signal.SIGKILL)
        return await running

    finished = go(kill_the_guard())
    assert (finished.exit_code, finished.timed_out) == (None, False)
    command = int(told.read_text().split()[0])
    eventually(lambda: gone(command), what="the command to be gone")
