"""The demo's stage: a temporary folder, the shop and the real daemon as child processes.

Owns what must be gone afterwards. `story` plays on it.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from remediator.cli.demo.pager import Pager

FILES = Path(__file__).parent.parent / "demo_files"
_PACKAGES = Path(__file__).parents[3]
# What the files call the folder that they are installed in.
_WRITTEN_FOLDER = "/opt/shop"
_START_WITHIN_S = 30.0
_STOP_WITHIN_S = 15.0
_LOG_LINES = 15


class Broken(Exception):
    """The demo did not go as it must; the text is the sentence why."""


class Stage:
    """Everything that runs for the demo, as a context."""

    def __init__(self, *, keep: bool) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="remediator-")).resolve()
        self.pager = Pager()
        self.shop_port = 0
        self.url = ""
        self._keep = keep
        self._daemon: subprocess.Popen[str] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._stack.callback(self._clean)
            self._install()
            self._stack.enter_context(self.pager)
            self._start_shop()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def config(self) -> Path:
        """The daemon's settings."""
        return self.folder / "remediator.yaml"

    def start_daemon(self) -> None:
        """Start `remediator serve`; returns when it listens."""
        log = self._stack.enter_context((self.folder / "daemon.log").open("w", encoding="utf-8"))
        daemon = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-m", "remediator", "serve", "--config", str(self.config)],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,  # Ctrl-C is for us; we stop it in good order
        )
        self._stack.callback(_end, daemon)
        line = _first_line(daemon)
        self.url = line.rpartition(" ")[2]
        if not self.url.startswith("http://"):
            raise Broken("the daemon did not start")
        self._daemon = daemon

    def stop_daemon(self) -> int:
        """Stop the daemon as an init system would; returns its exit code."""
        assert self._daemon is not None  # noqa: S101 - the story starts it first
        return _end(self._daemon)

    def remediator(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another `remediator` command beside the daemon."""
        return subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-m", "remediator", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def environment(self) -> dict[str, str]:
        """Return the children's environment: nobody's own settings, and no proxy for loopback."""
        ours = {k: v for k, v in os.environ.items() if not k.upper().startswith("REMEDIATOR_")}
        # The same remediator as ours, also when it runs out of a checkout.
        packages = [str(_PACKAGES), *filter(None, [ours.get("PYTHONPATH")])]
        return {
            **ours,
            "PYTHONPATH": os.pathsep.join(packages),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "PYTHONUTF8": "1",
            "REMEDIATOR_PAGERDUTY__API_URL": self.pager.url,
        }

    def log_tail(self) -> str:
        """Return the end of the daemon's log."""
        try:
            lines = (self.folder / "daemon.log").read_text(encoding="utf-8").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-_LOG_LINES:])

    def _install(self) -> None:
        for file in sorted(FILES.rglob("*")):
            if file.suffix not in (".yaml", ".py"):
                continue
            target = self.folder / file.relative_to(FILES)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = file.read_text(encoding="utf-8").replace(_WRITTEN_FOLDER, str(self.folder))
            target.write_text(text, encoding="utf-8")
        command = self.folder / "shopctl"
        command.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" -IS "{self.folder}/shopctl.py" "$@"\n',
            encoding="utf-8",
        )
        command.chmod(0o755)

    def _start_shop(self) -> None:
        shop = subprocess.Popen(  # noqa: S603 - a file of ours
            [sys.executable, "-IS", str(self.folder / "shop.py")],
            cwd=self.folder,
            stdin=subprocess.PIPE,  # it ends when we do, however that comes about
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._stack.callback(_end, shop)
        line = _first_line(shop)
        if not line.isdigit():
            raise Broken("the shop did not start")
        self.shop_port = int(line)
        address = self.folder / "shop.address"
        address.write_text(f"127.0.0.1:{self.shop_port}\n", encoding="ascii")

    def _clean(self) -> None:
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def _first_line(process: subprocess.Popen[str]) -> str:
    """Read the line by which a child says that it is ready; empty when it does not come."""
    assert process.stdout is not None  # noqa: S101 - started with a pipe
    found: list[str] = []
    reader = threading.Thread(target=_read_line, args=(process.stdout, found), daemon=True)
    reader.start()
    reader.join(_START_WITHIN_S)
    return found[0].strip() if found else ""


def _read_line(stream: IO[str], found: list[str]) -> None:
    found.append(stream.readline())


def _end(process: subprocess.Popen[str]) -> int:
    """End a child: SIGTERM, and SIGKILL when it does not listen. Idempotent."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
    code = process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None and not stream.closed:
            stream.close()
    return code
