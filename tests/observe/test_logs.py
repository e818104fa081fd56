"""Proves that every line, ours or a library's, is one JSON object (or one console line), carries
the bound names, and never shows a secret."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from remediator import settings
from remediator.observe import logs, masking


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:], root.level = before[0], before[1]
    logging.captureWarnings(False)
    structlog.reset_defaults()


def configure(out: io.StringIO, **log: Any) -> None:
    logs.configure(settings.Log(**{"format": "json", **log}), out)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_time_level_and_logger(out: io.StringIO) -> None:
    configure(out)
    logs.get("remediator.engine").info("run ended\nwith a line break", state="succeeded", n=3)
    (line,) = lines(out)
    assert line["event"] == "run ended\nwith a line break"
    assert (line["level"], line["logger"]) == ("info", "remediator.engine")
    assert (line["state"], line["n"]) == ("succeeded", 3)
    assert line["time"].endswith("Z")


def test_libraries_lines_look_the_same_and_their_chatter_is_left_out(out: io.StringIO) -> None:
    configure(out, level="debug")
    logging.getLogger("aiohttp.server").warning("odd %s", "request", extra={"peer": "10.0.0.1"})
    logging.getLogger("slack_sdk.web").debug("sending a token")
    logging.getLogger("kubernetes_asyncio.client").info("request body")
    (line,) = lines(out)
    assert (line["event"], line["logger"]) == ("odd request", "aiohttp.server")
    assert line["peer"] == "10.0.0.1"


def test_the_level_holds(out: io.StringIO) -> None:
    configure(out, level="warning")
    logs.get("x").info("no")
    logs.get("x").warning("yes")
    assert [line["event"] for line in lines(out)] == ["yes"]


async def test_bound_names_are_on_every_line_of_the_task_alone(out: io.StringIO) -> None:
    configure(out)

    async def work(run: str) -> None:
        with logs.bound(run_id=run, runbook="latency"):
            await asyncio.sleep(0)
            logging.getLogger("library").warning(run)
            logs.get("x").info(run)

    await asyncio.gather(work("run-1"), work("run-2"))
    logs.get("x").info("after")
    *bound, after = lines(out)
    assert len(bound) == 4
    assert all(line["run_id"] == line["event"] and line["runbook"] == "latency" for line in bound)
    assert "run_id" not in after


@pytest.mark.parametrize(
    "key",
    ["token", "bot_token", "password", "Authorization", "api_key", "signing_secret", "cookie"],
)
def test_keys_that_look_secret_are_masked(out: io.StringIO, key: str) -> None:
    configure(out)
    logs.get("x").info("asked", **{key: "hunter2"}, headers={key: "hunter2", "a": ["b"]})
    (line,) = lines(out)
    assert line[key] == "***"
    assert line["headers"] == {key: "***", "a": ["b"]}


def test_secrets_of_the_settings_are_masked_wherever_they_appear(out: io.StringIO) -> None:
    configured = settings.Settings(
        senders={"eu": {"bearer_token": "sender-secret-1"}},
        api={"tokens": [{"name": "a", "token": "api-secret-2"}]},
        slack={"bot_token": "slack-secret-3"},
    )
    found = logs.secrets_in(configured)
    assert sorted(found) == ["api-secret-2", "sender-secret-1", "slack-secret-3"]
    masking.know(found)
    configure(out)
    log = logs.get("x")
    log.info(
        "got sender-secret-1", url="https://x/?q=api-secret-2", nested=[{"a": "slack-secret-3"}]
    )
    logging.getLogger("library").error("with %s", "api-secret-2")
    try:
        raise RuntimeError("refused slack-secret-3")
    except RuntimeError:
        log.exception("failed")
    text = out.getvalue()
    assert "secret-" not in text
    assert text.count("***") >= 5
    assert "RuntimeError: refused ***" in lines(out)[-1]["exception"]


def test_a_secret_that_begins_with_another_leaves_nothing_behind(out: io.StringIO) -> None:
    masking.know(["prefix-abc", "prefix-abc-and-more"])
    configure(out)
    logs.get("x").info("prefix-abc-and-more")
    assert lines(out)[0]["event"] == "***"


def test_short_values_are_not_masked_by_value(out: io.StringIO) -> None:
    masking.know(["", "a", "ab"])
    configure(out)
    logs.get("x").info("a cab")
    assert lines(out)[0]["event"] == "a cab"


def test_very_long_values_are_cut_and_odd_ones_shown_as_text(out: io.StringIO) -> None:
    configure(out)
    logs.get("x").info("e", body="x" * 100_000, odd=object, raw=b"\xff", deep=[[[[[[[[1]]]]]]]])
    (line,) = lines(out)
    assert len(line["body"]) < 9000
    assert "91808 characters left out" in line["body"]
    assert "object" in line["odd"]


def test_console_lines_do_not_move_the_readers_cursor(out: io.StringIO) -> None:
    configure(out, format="console")
    logs.get("x").info("alert \x1b[2J", label="a\x1b]0;title\x07b")
    text = out.getvalue()
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\\x1b[2J" in text


def test_auto_is_json_where_there_is_no_terminal(out: io.StringIO) -> None:
    configure(out, format="auto")
    logs.get("x").info("hello")
    assert lines(out)[0]["event"] == "hello"
