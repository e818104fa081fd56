"""The real Chromium, without a window: opens a page, says what it shows, takes a picture.

Spoken to in its own protocol over a WebSocket. The program is found as the other servers of the
tests are (`tests.servers.binaries`).
"""

import asyncio
import base64
import contextlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers import binaries
from tests.servers.waiting import eventually_async

_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_START_S = 30.0
_CALL_S = 20.0


class Browser:
    """One browser with one page; `async with Browser() as browser`."""

    def __init__(self, width: int = 1280, height: int = 800) -> None:
        self._size = (width, height)
        self._folder = ""
        self._process: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._number = 0

    async def __aenter__(self) -> "Browser":
        self._folder = tempfile.mkdtemp(prefix="chromium-")
        self._process = await asyncio.create_subprocess_exec(
            str(binaries.find("chromium")),
            *_FLAGS,
            f"--user-data-dir={self._folder}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            await self._attach()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            with contextlib.suppress(ConnectionError, TimeoutError, RuntimeError):
                await self._call("Browser.close")
            await self._socket.close()
        if self._http is not None:
            await self._http.close()
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), 5)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def open(self, url: str) -> None:
        """Load a page, and wait until it has loaded."""
        answer = await self._call("Page.navigate", url=url)
        assert "errorText" not in answer, answer
        loaded = f"document.readyState === 'complete' && location.href === {json.dumps(url)}"
        await self._wait(loaded, f"{url} to load")

    async def run(self, script: str) -> Any:
        """Return what an expression is worth in the page."""
        answer = await self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def text(self, selector: str = "body") -> str:
        """Return what stands there, as it is seen."""
        found = await self.run(f"document.querySelector({selector!r})?.innerText ?? null")
        assert found is not None, f"there is no {selector}"
        return str(found)

    async def press(self, selector: str) -> None:
        """Press something that loads a page, and wait until it has loaded."""
        await self._leave(f"document.querySelector({selector!r}).click()")

    async def submit(self, selector: str) -> None:
        """Send a form, and wait until what comes of it has loaded."""
        await self._leave(f"document.querySelector({selector!r}).requestSubmit()")

    async def _leave(self, script: str) -> None:
        await self.run("window.stale = true")
        await self.run(script)
        await self._wait("!window.stale && document.readyState === 'complete'", "another page")

    async def _wait(self, condition: str, what: str) -> None:
        await eventually_async(lambda: self.run(condition), _CALL_S, what=what, interval_s=0.02)

    async def picture(self, path: Path, selector: str = "", scale: float = 1.0) -> Path:
        """Take a picture of the whole page, or of one element of it."""
        box = await self.run(
            "(() => {const r = "
            + (
                f"document.querySelector({selector!r}).getBoundingClientRect();"
                if selector
                else "document.documentElement.getBoundingClientRect();"
            )
            + "return {x: r.x, y: r.y, width: r.width, height: r.height}})()"
        )
        shot = await self._call(
            "Page.captureScreenshot",
            format="png",
            captureBeyondViewport=True,
            clip={**box, "scale": scale},
        )
        await asyncio.to_thread(_write, path, base64.b64decode(shot["data"]))
        return path

    async def _attach(self) -> None:
        file = Path(self._folder) / "DevToolsActivePort"
        port = await eventually_async(
            lambda: file.read_text().split("\n")[0], _START_S, what="Chromium to listen"
        )
        self._http = aiohttp.ClientSession()
        async with self._http.get(f"http://127.0.0.1:{port}/json/list") as response:
            targets = await response.json()
        (page,) = [one for one in targets if one["type"] == "page"]
        self._socket = await self._http.ws_connect(
            page["webSocketDebuggerUrl"], max_msg_size=64 * 1024 * 1024
        )
        width, height = self._size
        await self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    async def _call(self, method: str, **params: Any) -> Any:
        assert self._socket is not None
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        async with asyncio.timeout(_CALL_S):
            while True:
                answer = await self._socket.receive_json()
                if answer.get("id") == self._number:
                    assert "error" not in answer, answer["error"]
                    return answer["result"]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
