"""The daemon's log: structlog for us and for the libraries that use `logging`, on standard error.

Owns the format (JSON lines, or a console on a terminal), the names that are bound to every line
of a run, and the masking of secrets. Decides nothing about what is worth a line. `configure` is
called once by `app` (and by `cli` for the daemon's commands); everyone else calls `get` and
`bound`.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from pydantic import BaseModel, SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger

from remediator import settings
from remediator.observe import masking

# A line that fits nowhere helps nobody: log shippers cut at 16 KiB (Docker) or drop the line.
_LONGEST_TEXT_CHARS = 8192
# Logged values are small; deeper ones are shown as text.
_DEEPEST = 6

# An alert's label must not move the cursor of whoever reads the log on a terminal.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), 127)}


def configure(log: settings.Log, stream: TextIO | None = None) -> None:
    """Send every log line of the process to `stream`, in one format.

    Args:
        log: level and format.
        stream: standard error unless told otherwise.
    """
    out = sys.stderr if stream is None else stream
    console = log.format is settings.LogFormat.CONSOLE or (
        log.format is settings.LogFormat.AUTO and out.isatty()
    )
    level = logging.getLevelNamesMapping()[log.level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty(), timestamp_key="time")
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                # Before masking, so that a secret in a traceback's text is masked too.
                structlog.processors.format_exc_info,
                structlog.processors.StackInfoRenderer(),
                _printable if console else _plain,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # Ours say what matters; libraries' debug and info lines hold whole requests, some with tokens.
    for library in ("aiohttp", "asyncio", "kubernetes_asyncio", "slack_sdk", "urllib3"):
        logging.getLogger(library).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        # Where lines go and how they look is the handler's, so a remembered logger stays right.
        cache_logger_on_first_use=True,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the log of a module: `get(__name__)`."""
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log


@contextmanager
def bound(**names: object) -> Iterator[None]:
    """Bind names (`run_id`, `incident_id`, `runbook`) to every line of this task while it lasts."""
    with structlog.contextvars.bound_contextvars(**names):
        yield


@contextmanager
def captured() -> Iterator[list[str]]:
    """Print no log line while it lasts; yields a list that the errors among them are put into, each
    with the last line of its traceback. Loggers that `configure` set up before go on as they do."""
    errors: list[str] = []

    def keep(_: WrappedLogger, name: str, event: EventDict) -> EventDict:
        if name in ("error", "exception", "critical"):
            error = sys.exc_info()[1] if event.get("exc_info") is True else event.get("exc_info")
            why = f": {type(error).__name__}: {error}" if isinstance(error, BaseException) else ""
            errors.append(f"{event.get('event')}{why}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, keep],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
    try:
        yield errors
    finally:
        structlog.configure(**before)


def secrets_in(model: object) -> list[str]:
    """Return every secret that the settings hold, for `masking.know`."""
    if isinstance(model, SecretStr):
        return [model.get_secret_value()]
    if isinstance(model, str):
        return [found["password"] for found in masking.PASSWORD_IN_URL.finditer(model)]
    if isinstance(model, BaseModel):
        return [s for name in type(model).model_fields for s in secrets_in(getattr(model, name))]
    if isinstance(model, Mapping):
        return [s for value in model.values() for s in secrets_in(value)]
    if isinstance(model, tuple | list):
        return [s for value in model for s in secrets_in(value)]
    return []


def _plain(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return _clean_event(event)


def _printable(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    cleaned = _clean_event(event)
    for key, value in cleaned.items():
        if isinstance(value, str):
            cleaned[key] = value.translate(_CONTROL)
    return cleaned


def _clean_event(event: EventDict) -> EventDict:
    cleaned: MutableMapping[str, Any] = {}
    for key, value in event.items():
        cleaned[key] = masking.MASK if masking.secret_name(key) else _clean(value, _DEEPEST)
    return cleaned


def _clean(value: object, deepest: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping) and deepest:
        return {
            _text(key): masking.MASK
            if masking.secret_name(str(key))
            else _clean(inner, deepest - 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and deepest:
        return [_clean(inner, deepest - 1) for inner in value]
    return _text(value)


def _text(value: object) -> str:
    text = masking.known(value if isinstance(value, str) else str(value))
    if len(text) > _LONGEST_TEXT_CHARS:
        left_out = len(text) - _LONGEST_TEXT_CHARS
        text = f"{text[:_LONGEST_TEXT_CHARS]}… ({left_out} characters left out)"
    return text
