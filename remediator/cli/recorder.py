"""The recording of one plan: clients that only read with recorders below, and what comes of them.

Called by `record`.
"""

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from remediator.app.reading import Reading, query_url, reading_clients
from remediator.cli import record_series
from remediator.clients.errors import Refused
from remediator.clients.http import HttpClient
from remediator.clients.prometheus import MAX_ANSWER_BYTES
from remediator.clients.readonly import ReadOnlyHttp
from remediator.clients.recording import RecordedHttp, RecordedProcesses, Tape, connecting
from remediator.engine.clock import SystemClock
from remediator.engine.context import ReadingContext
from remediator.engine.simulate import Simulated
from remediator.engine.would import World
from remediator.model.alerts import Notification
from remediator.model.limits import Mode
from remediator.model.policy import Policy
from remediator.model.runs import RunState
from remediator.model.verdicts import Ruling
from remediator.observe import masking
from remediator.rehearsal.recording import Expected, Recording, Series
from remediator.runbook.runbook import Runbook
from remediator.settings import Settings

_SCHEMA = Path("config/test.schema.json")


@dataclass(frozen=True, slots=True)
class Recorder:
    """What is recorded, and through which clients."""

    reading: Reading
    tape: Tape
    at: datetime


@asynccontextmanager
async def recording(settings: Settings) -> AsyncIterator[Recorder]:
    """Record what plans read."""
    tape = Tape()
    reading = reading_clients(
        settings,
        connect=connecting(tape),
        http=lambda keep: RecordedHttp(HttpClient(keep_alive=keep), tape),
        processes=lambda ledger: RecordedProcesses(settings.exec, ledger, tape),
    )
    try:
        yield Recorder(reading, tape, SystemClock().now())
    finally:
        await reading.close()


def world(recorder: Recorder, runbooks: Sequence[Runbook], settings: Settings) -> World:
    """Return what the plan looks at, judged as a test judges: without anybody's history."""
    clock, clients = SystemClock(), recorder.reading.clients
    return World(
        runbooks=runbooks,
        policy=Policy(mode=Mode.AUTO),
        clock=clock,
        context_for=lambda run_id, names: ReadingContext(run_id, clock, clients, None, names),
        default_approvers=settings.default_approvers,
        ledger=recorder.reading.ledger,
    )


async def series(recorder: Recorder, settings: Settings, wait_for: timedelta) -> Series:
    """Return the series behind the queries that were asked."""
    url = query_url(settings)
    queries = [
        dict(one.query).get("query", one.form.get("query", ""))
        for one in recorder.tape.exchanges
        if one.url == url
    ]
    if not queries:
        return Series()
    http = ReadOnlyHttp(HttpClient(), recorder.reading.ledger, [url])
    token = settings.prometheus.bearer_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else None

    async def ask(query: str) -> Sequence[Any]:
        answer = await http.request(
            "POST",
            url,
            form={"query": query, "time": f"{recorder.at.timestamp():.3f}"},
            headers=headers,
            timeout_s=settings.prometheus.timeout_s,
            max_bytes=MAX_ANSWER_BYTES,
        )
        try:
            found: Sequence[Any] = json.loads(answer.body)["data"]["result"]
        except (ValueError, KeyError, TypeError):
            raise Refused(f"Prometheus answers {answer.status} to {query[:100]}") from None
        return found

    try:
        return await record_series.series(queries, ask, recorder.at, wait_for)
    finally:
        await http.close()


def put_together(
    run: Simulated,
    notification: Notification,
    body: Mapping[str, Any],
    recorder: Recorder,
    known: Series,
    settings: Settings,
    file: Path,
    raw: Path | None,
) -> Recording:
    """Return all that the test is written from; `file` is where it goes."""
    held = run.end is RunState.APPLYING
    verdicts = [
        f"{v.ruling}: {v.rule}"
        for of_step in run.verdicts.values()
        for v in of_step
        if v.ruling is not Ruling.ALLOW
    ]
    expected = Expected(
        runbook=run.runbook.name,
        state="awaiting_approval" if held else run.end.value,
        reason="mode_approve" if held else run.reason.value,
        plans=tuple(
            str(row.plan) for row in run.rows if row.plan is not None and not row.plan.empty
        ),
        verdicts=("hold: mode",) * (1 if held else 0) or tuple(dict.fromkeys(verdicts)),
    )
    books = list(dict.fromkeys([run.runbook.file, *(s.origin.file for s in run.runbook.steps)]))
    beside = [Path(book) for book in books if book]
    own = file.name.removesuffix(".yaml").removesuffix(".yml").removesuffix(".test")
    alone = len(beside) == 1 and beside[0].resolve() == (file.parent / f"{own}.yaml").resolve()
    schema = _SCHEMA.resolve()
    return Recording(
        at=recorder.at,
        runbooks=() if alone else tuple(_relative(book, file) for book in beside),
        notification=notification,
        body=body,
        raw=raw.name if raw else "",
        tape=recorder.tape,
        series=known,
        expected=expected,
        held=held,
        wait_for=run.runbook.wait_for,
        schema=_relative(schema, file) if schema.is_file() else "",
        servers=(
            query_url(settings) if settings.prometheus.url else "",
            *(url for sender in settings.senders.values() for url in sender.alertmanager),
        ),
        doubts=[f"The plan fails, and the test expects that: {masking.text(run.message)}"]
        if run.end is RunState.FAILED
        else [],
    )


def _relative(path: Path, file: Path) -> str:
    return os.path.relpath(path.resolve(), file.parent.resolve())
