"""What stands between a daemon and the real API server, and strikes when a test says so."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

from tests.actions.kubernetes.loopback import Between, Strike, kubeconfig_for
from tests.servers.kubernetes import ControlPlane
from tests.servers.loop import Loop
from tests.servers.process import Server


class Front(Server):
    """A `Between` for a daemon that is a process: it runs in a thread."""

    def __init__(self, cp: ControlPlane, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._between = Between()
        self._cp, self._folder = cp, folder
        self._loop = Loop()
        self._stack = AsyncExitStack()
        self.kubeconfig = Path()
        """What the daemon is given, once this was started."""

    def start(self) -> None:
        """Passes requests on."""
        self._loop.start()
        entered = self._stack.enter_async_context(self._between.to(self._cp, self._folder))
        self.kubeconfig = self._loop.call(entered)

    def stop(self) -> None:
        """Passes nothing on any more."""
        if self._loop.running:
            self._loop.call(self._stack.aclose())
        self._loop.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        config = json.loads(self.kubeconfig.read_text())
        return str(config["clusters"][0]["cluster"]["server"])

    def through(self, address: str) -> Path:
        """A kubeconfig by which it is reached at another address."""
        folder = self._folder / "through"
        folder.mkdir()
        return kubeconfig_for(folder, f"http://{address}")

    @property
    def written_at(self) -> list[float]:
        """When each write came, on the clock that never goes back."""
        return list(self._between.written_at)

    @property
    def made(self) -> int:
        """How many changes the API server has made for them, whoever was told."""
        return self._between.made

    @property
    def struck(self) -> int:
        """At how many requests it has struck."""
        return self._between.struck

    def strike(self, strike: Strike, *, times: int = 1, reads_too: bool = False) -> None:
        """See `Between.strike`."""
        self._between.strike(strike, times=times, reads_too=reads_too)

    def calm(self) -> None:
        """See `Between.calm`."""
        self._between.calm()
