"""Server processes start, fail with a reason, and never outlive the test process."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .binaries import BinaryMissing, find
from .process import Process, ServerFailed, free_port, launch
from .waiting import eventually

REPOSITORY = Path(__file__).parents[2]


def _python(script: str, log: Path) -> Process:
    return Process("script", [sys.executable, "-c", script], log=log, ready=lambda: False)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_a_server_that_ends_shows_the_end_of_its_log(tmp_path: Path) -> None:
    process = _python("print('no such flag'); raise SystemExit(2)", tmp_path / "log")
    with pytest.raises(ServerFailed, match=r"script ended instead of coming up(?s:.*)no such flag"):
        process.start()
    assert not process.running


def test_a_server_that_never_gets_ready_is_stopped(tmp_path: Path) -> None:
    process = _python("import time; time.sleep(600)", tmp_path / "log")
    with pytest.raises(ServerFailed, match=r"script was not ready after 0.2 s"):
        process.start(timeout_s=0.2)
    assert not process.running


def test_a_port_taken_meanwhile_is_chosen_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [taken.getsockname()[1], free_port()]
        script = (
            "import socket, time; "
            "listener = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
        )

        def make() -> Process:
            port = ports.pop(0)

            def ready() -> bool:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    return True

            # Nobody answers on the taken port in the real race; here its owner must not either.
            return Process(
                "listener",
                [sys.executable, "-c", script.format(port=port)],
                log=tmp_path / "log",
                ready=ready if not ports else lambda: False,
            )

        process = launch(make)
        assert process.running
        process.stop()
    assert ports == []


def test_servers_die_with_a_test_process_that_is_killed(tmp_path: Path) -> None:
    script = f"""
        import os, signal
        from pathlib import Path
        from tests.servers.process import Process

        log = Path({str(tmp_path / "log")!r})
        sleeper = Process("sleeper", ["sleep", "600"], log=log, ready=lambda: True)
        sleeper.start()
        print(sleeper.pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert result.returncode == -signal.SIGKILL
    sleeper = int(result.stdout)
    eventually(lambda: not _alive(sleeper), what="the server of the killed process to end")


def test_a_missing_program_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("REMEDIATOR_TEST_ETCD", "KUBEBUILDER_ASSETS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("REMEDIATOR_TEST_CACHE", str(tmp_path))
    with pytest.raises(
        BinaryMissing, match=r"etcd .* run `make servers`, or set REMEDIATOR_TEST_ETCD"
    ):
        find("etcd")

    program = tmp_path / "etcd"
    program.write_text("#!/bin/sh\n")
    monkeypatch.setenv("REMEDIATOR_TEST_ETCD", str(program))
    with pytest.raises(BinaryMissing, match="not a program that can be run"):
        find("etcd")
    program.chmod(0o755)
    assert find("etcd") == program
