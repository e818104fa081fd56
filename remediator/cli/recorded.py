"""Recorded notifications in the order of their times: out of the journal, or out of files.

One at a time, or a few: a recording of months is never in memory. What can't be read is counted and
said, and stops nothing.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.engine.replay import Moment
    from remediator.journal.protocol import Archive
    from remediator.journal.values import Recorded
    from remediator.model.alerts import Notification
    from remediator.plugin.registry import Registry

_PAGE = 500
# Bodies that are in memory at once; a single one may be larger.
_CHUNK_BYTES = 8 * 2**20
# Intake takes no more in one body.
_LARGEST_BYTES = 64 * 2**20
_MOST_FILES = 1_000_000
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asked for on the command line."""

    recording: Path | None
    since: datetime | None
    until: datetime
    ends: bool
    """Whether somebody named `until`; else a recording is led through to its end."""
    against: str | None
    world: Path | None
    plans: bool
    approved: bool
    sender: str
    runbooks: tuple[Path, ...]


@dataclass(slots=True)
class Reading:
    """How far the reading has come.

    Args:
        expected: how many notifications there are.
        replayed: how many were led through.
        gone: how many are on record, and their bodies past their retention.
        unreadable: what could not be read, each in one line; `unread` counts all.
        progress: called after each notification.
    """

    expected: int = 0
    replayed: int = 0
    gone: int = 0
    unread: int = 0
    oldest: datetime | None = None
    unreadable: list[str] = field(default_factory=list)
    progress: Callable[["Reading"], None] = lambda _: None

    def took(self) -> None:
        """Count one that was led through."""
        self.replayed += 1
        self.progress(self)

    def refuse(self, what: str, why: str) -> None:
        """Count one that can't be read."""
        self.unread += 1
        if len(self.unreadable) < _MOST_TOLD:
            self.unreadable.append(f"{what}: {why}")
        self.progress(self)


async def of_journal(
    archive: "Archive", registry: "Registry", since: datetime, until: datetime, reading: Reading
) -> AsyncIterator["Moment"]:
    """Yield what the journal keeps of a span, each with the runs that it really started."""
    from remediator.engine.replay import Moment, Received  # noqa: PLC0415 - keeps --help quick
    from remediator.plugin.source import Rejected  # noqa: PLC0415

    kept = await archive.kept(since=since, until=until)
    reading.expected, reading.oldest = kept.notifications, kept.oldest
    reading.gone = max(0, kept.on_record - kept.notifications)
    last: Recorded | None = None
    while page := await archive.recorded(since=since, until=until, after=last, limit=_PAGE):
        happened: dict[datetime, list[Any]] = {}
        for run in await archive.happened(since=page[0].received_at, until=page[-1].received_at):
            happened.setdefault(run.created_at, []).append(run)
        for chunk in _chunks(page):
            bodies = await archive.bodies([head.id for head in chunk])
            for head in chunk:
                runs = happened.pop(head.received_at, ())
                if head.id not in bodies:  # pruned since the page was read
                    reading.gone += 1
                    continue
                source = registry.sources.get(head.source) or registry.sources["alertmanager"]
                try:
                    notification = source.parse(bodies[head.id])
                except Rejected as error:
                    reading.refuse(f"notification {head.id}", str(error))
                    continue
                reading.took()
                yield Moment(
                    Received(head.received_at, head.sender, head.source, notification), runs
                )
        last = page[-1]


def _chunks(page: Sequence["Recorded"]) -> Iterator[list["Recorded"]]:
    chunk: list[Recorded] = []
    size = 0
    for head in page:
        if chunk and size + head.size > _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(head)
        size += head.size
    if chunk:
        yield chunk


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """Where a notification stands: its time, its file, and where in it its line begins."""

    at: datetime
    path: Path
    offset: int


async def of_files(
    path: Path,
    registry: "Registry",
    sender: str,
    since: datetime | None,
    until: datetime | None,
    reading: Reading,
) -> AsyncIterator["Moment"]:
    """Yield the notifications of a file or folder: `.json` holds one, `.jsonl` one on each line.

    A body has no time of its own: it is taken to have come when the newest alert in it began or
    ended. A line `{"received_at": …, "sender": …, "body": {…}}` says when, and by whom.

    Raises:
        Failure: there is no such file.
    """
    from remediator.engine.replay import Moment, Received  # noqa: PLC0415 - keeps --help quick

    places = sorted(_places(path, registry, since, until, reading))
    reading.expected = len(places)
    for place in places:
        found = _read(place, registry)
        reading.took()
        yield Moment(Received(place.at, found.sender or sender, "alertmanager", found.notification))


@dataclass(frozen=True, slots=True)
class _Found:
    at: datetime
    sender: str
    notification: "Notification"


def _places(
    path: Path,
    registry: "Registry",
    since: datetime | None,
    until: datetime | None,
    reading: Reading,
) -> Iterator[_Place]:
    files = _files(path)
    if not files:
        raise Failure(f"{path}: holds no notification: no file ends in .json or .jsonl")
    for file in files:
        for offset, text in _texts(file):
            where = f"{file}" if offset < 0 else f"{file}, byte {offset}"
            try:
                at = _parsed(text, registry).at
            except (ValueError, KeyError) as error:
                reading.refuse(where, str(error))
                continue
            if (since is None or at >= since) and (until is None or at < until):
                yield _Place(at, file, offset)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise Failure(f"there is no file or folder {path}")
    found = sorted(f for f in path.rglob("*") if f.suffix in (".json", ".jsonl") and f.is_file())
    if len(found) > _MOST_FILES:
        raise Failure(f"{path}: more than {_MOST_FILES} files")
    return found


def _texts(file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each notification of a file with the offset of its line, -1 for the whole file."""
    try:
        if file.suffix != ".jsonl":
            yield -1, _whole(file)
            return
        with file.open("rb") as opened:
            offset = 0
            for line in opened:
                if line.strip():
                    yield offset, line
                offset += len(line)
    except OSError as error:
        raise Failure(f"{file}: cannot be read: {error.strerror}") from None


def _whole(file: Path) -> bytes:
    if file.stat().st_size > _LARGEST_BYTES:
        raise Failure(f"{file}: larger than {_LARGEST_BYTES // 2**20} MiB")
    return file.read_bytes()


def _read(place: _Place, registry: "Registry") -> _Found:
    if place.offset < 0:
        return _parsed(_whole(place.path), registry)
    with place.path.open("rb") as opened:
        opened.seek(place.offset)
        return _parsed(opened.readline(), registry)


def _parsed(text: bytes, registry: "Registry") -> _Found:
    """Read a notification.

    Raises:
        ValueError: it is none; the text says why.
    """
    from remediator.cli import alert_files  # noqa: PLC0415 - keeps --help quick
    from remediator.model import clock  # noqa: PLC0415
    from remediator.plugin.source import Rejected  # noqa: PLC0415

    sender, at = "", None
    try:
        value = json.loads(text)
        if isinstance(value, dict) and "body" in value:
            sender = str(value.get("sender") or "")
            at = clock.from_text(str(value["received_at"])) if "received_at" in value else None
            value = value["body"]
            text = json.dumps(value).encode()
        whole = alert_files.payload(value)
        if whole is not value:  # one alert, or a list of them
            text = json.dumps(whole).encode()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    try:
        notification = registry.sources["alertmanager"].parse(text)
    except Rejected as error:
        raise ValueError(str(error)) from None
    if not notification.alerts:
        raise ValueError("it holds no alert")
    newest = max(
        alert.starts_at if alert.firing else alert.ends_at or alert.starts_at
        for alert in notification.alerts
    )
    return _Found(at or newest, sender, notification)
