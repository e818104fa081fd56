"""A YAML language server as an editor runs it: JSON-RPC over its standard input and output.

Source of the protocol: Language Server Protocol 3.17, base protocol and `textDocument/*`.
"""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.servers import binaries

# A schema of some hundred KiB is read and compiled on a busy machine.
_PATIENCE_S = 60.0
_SETTINGS = {"yaml": {"validate": True, "hover": True, "completion": True}}


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What an editor underlines; lines and columns count from 1."""

    line: int
    column: int
    message: str


class LanguageServer:
    """One language server; `async with` starts and stops it."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._published: dict[str, asyncio.Future[Sequence[Diagnostic]]] = {}
        self._versions: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            binaries.find("node"),
            binaries.find("yaml-language-server").resolve(),
            "--stdio",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())
        await self._ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        await self._tell("initialized", {})
        await self._tell("workspace/didChangeConfiguration", {"settings": _SETTINGS})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._ask("shutdown", None)
        await self._tell("exit", None)
        await asyncio.wait_for(self._process.wait(), _PATIENCE_S)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def diagnostics(self, path: Path, text: str) -> Sequence[Diagnostic]:
        """Open a file with this text, or change it, and return what is found wrong with it."""
        uri = path.as_uri()
        told = asyncio.get_running_loop().create_future()
        self._published[uri] = told
        self._versions[uri] = version = self._versions.get(uri, 0) + 1
        document: dict[str, Any] = {"uri": uri, "version": version}
        if version == 1:
            document |= {"languageId": "yaml", "text": text}
            await self._tell("textDocument/didOpen", {"textDocument": document})
        else:
            changes = [{"text": text}]
            params = {"textDocument": document, "contentChanges": changes}
            await self._tell("textDocument/didChange", params)
        found: Sequence[Diagnostic] = await asyncio.wait_for(told, _PATIENCE_S)
        return found

    async def completions(self, path: Path, text: str) -> Mapping[str, str]:
        """Return what is proposed where `|` stands in the text: label → documentation."""
        before = text[: text.index("|")]
        await self.diagnostics(path, before + text[len(before) + 1 :])
        answer = await self._ask("textDocument/completion", self._at(path, before))
        items = answer["items"] if isinstance(answer, dict) else answer
        return {item["label"]: _words(item.get("documentation")) for item in items}

    async def hover(self, path: Path, text: str) -> str:
        """Return what is shown over the word that `|` stands in."""
        before = text[: text.index("|")]
        await self.diagnostics(path, before + text[len(before) + 1 :])
        answer = await self._ask("textDocument/hover", self._at(path, before))
        return _words(answer["contents"]) if answer else ""

    def _at(self, path: Path, before: str) -> Mapping[str, Any]:
        line = before.count("\n")
        column = len(before) - (before.rfind("\n") + 1)
        return {
            "textDocument": {"uri": path.as_uri()},
            "position": {"line": line, "character": column},
        }

    async def _ask(self, method: str, params: object) -> Any:
        number = next(self._ids)
        answered = asyncio.get_running_loop().create_future()
        self._waiting[number] = answered
        await self._send({"id": number, "method": method, "params": params})
        return await asyncio.wait_for(answered, _PATIENCE_S)

    async def _tell(self, method: str, params: object) -> None:
        await self._send({"method": method, "params": params})

    async def _send(self, message: Mapping[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await self._process.stdin.drain()

    async def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := await stream.readuntil(b"\r\n\r\n"):
            size = next(
                int(line.partition(b":")[2])
                for line in header.splitlines()
                if line.lower().startswith(b"content-length:")
            )
            await self._take(json.loads(await stream.readexactly(size)))

    async def _take(self, message: Mapping[str, Any]) -> None:
        method, number = message.get("method"), message.get("id")
        if method is None:
            waiting = self._waiting.pop(int(message["id"]))
            if "error" in message:
                waiting.set_exception(RuntimeError(str(message["error"])))
            else:
                waiting.set_result(message.get("result"))
        elif method == "textDocument/publishDiagnostics":
            told = self._published.get(message["params"]["uri"])
            if told is not None and not told.done():
                told.set_result([_diagnostic(one) for one in message["params"]["diagnostics"]])
        elif number is not None:  # the server asks: for its settings, or to register itself
            items = (message.get("params") or {}).get("items") or []
            result = [_SETTINGS.get(item.get("section", ""), {}) for item in items]
            await self._send({"id": number, "result": result or None})


def _diagnostic(told: Mapping[str, Any]) -> Diagnostic:
    start = told["range"]["start"]
    return Diagnostic(start["line"] + 1, start["character"] + 1, told["message"])


def _words(told: Any) -> str:
    if isinstance(told, Mapping):
        return str(told.get("value", ""))
    if isinstance(told, list):
        return "\n".join(map(_words, told))
    return str(told or "")
