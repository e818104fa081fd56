"""How commands show things: plain tables for people, JSON for scripts.

Colours only on a terminal and without NO_COLOR (rich keeps to both). What comes from alerts and
daemons is never read as markup, and its control characters can't move a terminal's cursor.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

# A pipe has no width: lines are not cut there.
_WIDE = 10_000

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}

STYLES = {
    "succeeded": "green",
    "approved": "green",
    "healthy": "green",
    "done": "green",
    "allow": "green",
    "resolved": "green",
    "open": "yellow",
    "awaiting_approval": "bold yellow",
    "hold": "yellow",
    "wait": "yellow",
    "planned": "cyan",
    "pending": "cyan",
    "planning": "cyan",
    "applying": "cyan",
    "verifying": "cyan",
    "started": "cyan",
    "undoing": "magenta",
    "undone": "magenta",
    "rolled_back": "magenta",
    "failed": "bold red",
    "interrupted": "bold red",
    "refuse": "red",
    "denied": "red",
    "error": "bold red",
    "warning": "yellow",
}
"""Of states, verdicts and severities, wherever they are shown."""


def console(*, err: bool = False) -> Console:
    """Return a console on standard output (or error): as wide as a terminal, endless in a pipe."""
    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, width=width, highlight=False, emoji=False, soft_wrap=False)


def as_json(value: object) -> None:
    """Print one JSON document."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(text.encode(errors="replace").decode())


def as_yaml(value: object, *, document: bool = False) -> None:
    """Print YAML; as one of several documents with a line before it and short lists on one line."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - slow to import, and rarely needed

    writer: Any = YAML()
    writer.explicit_start = document
    writer.default_flow_style = None if document else False
    writer.width = 100
    write: Any = getattr(writer, "dump")  # noqa: B009 - its type says that it is no function
    write(value, sys.stdout)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, none: str, breaking: int = 1
) -> None:
    """Print a table; `none` is said on standard error when there are no rows.

    The last `breaking` columns share what is left of the line and may break; the others never do.
    """
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        breaks = number >= len(columns) - breaking
        grid.add_column(name.upper(), no_wrap=not breaks, overflow="fold")
    count = 0
    for row in rows:
        grid.add_row(*(cell(value) for value in row))
        count += 1
    if not count:
        click.echo(none, err=True)
        return
    out(grid)


def out(thing: object) -> None:
    """Print something rich on standard output, without spaces at the ends of lines in a pipe."""
    target = console()
    if target.is_terminal:
        target.print(thing)
        return
    with target.capture() as captured:
        target.print(thing)
    for line in captured.get().rstrip("\n").split("\n"):
        click.echo(line.rstrip())


def short_id(text: str) -> str:
    """Return an id's last ten characters on a terminal (every command takes them), all in a pipe.

    The beginning of an id is its time, which neighbours share; its end tells them apart.
    """
    return text[-10:] if sys.stdout.isatty() else text


def cell(value: object) -> Text:
    """Return a value as text that is no markup, in the colour of the state that it names."""
    if isinstance(value, Text):
        return value
    if value is None or value == "":
        return Text("-", style="dim")
    text = clean(str(value))
    return Text(text, style=STYLES.get(text, ""))


def clean(text: str) -> str:
    """Return a text that can't move a terminal's cursor."""
    return text.encode(errors="replace").decode().translate(_CONTROL)


def labels(values: Mapping[str, str], *, without: Iterable[str] = ()) -> str:
    """Return labels as `name="value"`, sorted."""
    left_out = set(without)
    return ", ".join(
        f'{name}="{value}"' for name, value in sorted(values.items()) if name not in left_out
    )


def when(text: str | None) -> datetime | None:
    """Parse one of the API's times."""
    return datetime.fromisoformat(text) if text else None


def ago(text: str | None, now: datetime | None = None) -> str:
    """Return how long ago a time was, in the largest unit that says enough: `4m`, `3h`, `2d`."""
    at = when(text)
    if at is None:
        return ""
    return span(((now or datetime.now(UTC)) - at).total_seconds())


def span(seconds: float) -> str:
    """Return a length of time in one unit: `0.4s`, `37s`, `12m`, `3h`, `2d`."""
    past = max(0.0, seconds)
    if past < 10:
        return f"{past:.1f}s"
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if past >= 2 * size_s:
            return f"{past / size_s:.0f}{unit}"
    return f"{past:.0f}s"


def time_of_day(text: str | None) -> str:
    """Return a time as people read it, `2026-11-24 14:03:05 UTC`."""
    at = when(text)
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else ""


def value(given: Any) -> str:
    """Return a plan's value before or after, as text."""
    if given is None:
        return "none"
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
