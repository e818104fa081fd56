"""A real PostgreSQL: its data on disk with `fsync`, on loopback, with a password."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from .binaries import find
from .process import Process, Server, ServerFailed, free_port, launch

USER = "remediator"
_SYSTEM_USER = "postgres"
"""Debian's user for it: PostgreSQL refuses to run as root."""


class Postgres(Server):
    """One cluster of databases. Ask `create_database` for a new one where tests must not meet."""

    def __init__(self) -> None:
        self._runs_as = _SYSTEM_USER if os.geteuid() == 0 else None
        self._password = secrets.token_hex(16)
        self._port = 0
        self._folder: Path | None = None
        self._process: Process | None = None

    @property
    def port(self) -> int:
        """Its port on 127.0.0.1."""
        return self._port

    @property
    def process(self) -> Process:
        """The process: to kill, to freeze, or to read its log."""
        assert self._process is not None, "this PostgreSQL was not started"
        return self._process

    def dsn(self, database: str = "postgres", *, port: int | None = None) -> str:
        """The address of a database; another `port` leads through a `Link`."""
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{port or self._port}/{database}"

    def start(self) -> None:
        """Creates the databases' folder and starts the server."""
        # Not in pytest's folder, whose parents only root may enter when root runs the tests.
        folder = self._folder = Path(tempfile.mkdtemp(prefix="remediator-postgres-"))
        self._initialise(folder)
        self._process = launch(lambda: self._make(folder))

    def stop(self) -> None:
        """Stops the server, whoever is connected, and removes its data."""
        if self._process is not None:
            self._process.stop()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def freeze(self) -> None:
        """Stop all of its processes, as a stalled disk or a paused machine does."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        leader = self.process.pid
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text()
        for pid in (leader, *map(int, children.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def create_database(self) -> str:
        """The address of a new, empty database."""
        name = f"test_{secrets.token_hex(6)}"
        self.psql(f"CREATE DATABASE {name}")
        return self.dsn(name)

    def psql(self, sql: str, dsn: str | None = None) -> str:
        """What psql, the oracle, prints for `sql`: values only."""
        result = self._run_psql(sql, dsn or self.dsn())
        assert result.returncode == 0, f"psql refused {sql}: {result.stderr}"
        return result.stdout.strip()

    def _run_psql(self, sql: str, dsn: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [find("psql"), "--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, dsn],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _initialise(self, folder: Path) -> None:
        password_file = folder / "password"
        password_file.write_text(self._password)
        if self._runs_as:
            system_user = pwd.getpwnam(self._runs_as)
            for path in (folder, password_file):
                os.chown(path, system_user.pw_uid, system_user.pw_gid)
        result = subprocess.run(
            [
                *(find("initdb"), f"--pgdata={folder / 'data'}", f"--username={USER}"),
                *("--auth=scram-sha-256", f"--pwfile={password_file}"),
                *("--encoding=UTF8", "--locale=C.UTF-8"),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=folder,
            user=self._runs_as,
            group=pwd.getpwnam(self._runs_as).pw_gid if self._runs_as else None,
        )
        if result.returncode:
            raise ServerFailed(f"initdb failed: {result.stdout}{result.stderr}")

    def _make(self, folder: Path) -> Process:
        self._port = free_port()
        settings = {
            "port": str(self._port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "32MB",
        }
        return Process(
            "postgres",
            [
                *(find("postgres"), "-D", folder / "data"),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ],
            log=folder / "postgres.log",
            ready=lambda: self._run_psql("SELECT 1", self.dsn()).returncode == 0,
            stop_signal=signal.SIGQUIT,  # at once: what is removed need not be put in order
            user=self._runs_as,
        )
