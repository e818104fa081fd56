"""A real `remediator serve` process: started, killed and started again on the same journal.

Its address is reserved at construction, so that Alertmanager can be told it before the daemon
starts, and finds it again after a restart.
"""

import json
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.servers.process import Process, Server, free_port
from tests.servers.rest import Response, answers, request

_READY_WITHIN_S = 30.0

T = TypeVar("T")


class Place:
    """Where a daemon runs: here, unless a subclass knows of another place."""

    @property
    def enter(self) -> Sequence[str]:
        """What is put before a command, so that it runs there."""
        return ()

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returns where the files of that place are seen."""
        return work()


HERE = Place()


class RemediatorProcess(Server):
    """One daemon with its settings, runbooks, journal and log in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any] | None = None,
        runbooks: Mapping[str, str] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        journal: Path | None = None,
        place: Place = HERE,
    ) -> None:
        """`settings` are written over those that make it run here; `runbooks` are name → YAML."""
        self.folder = folder
        self.settings = dict(settings or {})
        self.journal = journal or folder / "remediator.db"
        self._env = env
        self._place = place
        self._port = free_port()
        self._reservation = _reserve(self._port)
        self._process: Process | None = None
        (folder / "runbooks").mkdir(parents=True, exist_ok=True)
        for name, text in (runbooks or {}).items():
            (folder / "runbooks" / f"{name}.yaml").write_text(text)

    # --- start and stop -------------------------------------------------------------------

    def start(self) -> None:
        """Starts it, on the journal that is there, and returns when it is ready."""
        self._process = self._make()
        self._process.start(_READY_WITHIN_S)

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """Killed, and started again at once."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """SIGTERM: what is in hand is journalled first."""
        if self._process is not None:
            self._process.stop(grace_s=25.0)
        self._reservation.close()

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.running

    @property
    def process(self) -> Process:
        """The process: for its id, or to freeze it."""
        assert self._process is not None, "this daemon was not started"
        return self._process

    # --- its API --------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Its base URL, known before it starts."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def webhook(self) -> str:
        """Where Alertmanager posts."""
        return f"{self.url}/webhook/alertmanager"

    def api(self, path: str) -> Any:
        """What GET of a path such as `/api/v1/runs` answers, as JSON; anything but 200 fails."""
        answer = request("GET", self.url + path)
        assert answer.status == 200, f"GET {path}: {answer.status} {answer.text}"
        return answer.json()

    def post(self, path: str, body: object = None) -> Response:
        """POST of a path with JSON, whatever the answer."""
        return request("POST", self.url + path, body if body is not None else {})

    def items(self, path: str) -> list[dict[str, Any]]:
        """A whole list, page after page."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.api(f"{path}{'&' if '?' in path else '?'}limit=200{cursor}")
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = f"&cursor={page['next']}"

    def metrics(self) -> dict[str, float]:
        """The samples of /metrics by their series, as the exposition writes it."""
        lines = request("GET", f"{self.url}/metrics").text.splitlines()
        samples = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {series: float(value) for series, _, value in samples}

    # --- its files ------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "remediator.yaml"

    @property
    def log(self) -> Path:
        """Standard output and error of every start."""
        return self.folder / "remediator.log"

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The journal's file, opened beside the daemon for reading only."""

        def opened() -> sqlite3.Connection:
            path = f"file:{self.journal}?mode=ro"
            connection = sqlite3.connect(path, uri=True, check_same_thread=False)
            connection.execute("SELECT count(*) FROM sqlite_master")  # opens all of its files
            return connection

        with closing(self._place.run(opened)) as connection:
            yield connection

    def log_tail(self, lines: int = 60) -> str:
        """The end of the log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """One `remediator …` command with this daemon's settings, whatever its exit code."""
        return subprocess.run(
            [*self._program, *arguments, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def _program(self) -> list[str]:
        return [*self._place.enter, sys.executable, "-m", "remediator"]

    def write_settings(self) -> None:
        """Writes the settings file, for a command that comes before the daemon."""
        self.config.write_text(json.dumps(self._effective()))  # JSON, which YAML contains

    def _make(self) -> Process:
        self.write_settings()
        return Process(
            "remediator",
            [*self._program, "serve", "--config", self.config],
            log=self.log,
            ready=lambda: answers(f"{self.url}/-/ready"),
            env=self._env,
        )

    def _effective(self) -> dict[str, Any]:
        return {
            "listen": f"127.0.0.1:{self._port}",
            "journal": f"sqlite:///{self.journal.absolute()}",
            "runbooks": [str(self.folder / "runbooks")],
            "log": {"format": "json", "level": "debug"},
            **self.settings,
        }


def _reserve(port: int) -> socket.socket:
    """Holds a port without listening: others find it taken, and the daemon, which allows the
    address to be reused, can still listen there.
    """
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    return held
