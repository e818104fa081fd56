"""Runbooks are reloaded while the daemon runs: a good folder is served whole, a bad file leaves the
last good set serving and says so, and mending it is enough."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.daemon import RemediatorProcess
from tests.servers.waiting import eventually

BOOK = """\
name: {name}
description: A runbook of a test.
match: ['alertname="{name}"']
steps: [{{id: look, action: http.check, with: {{url: "http://127.0.0.1:1/"}}}}]
"""


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[RemediatorProcess]:
    """A daemon that serves one runbook, and looks at its folder often."""
    books = {"one": BOOK.format(name="one")}
    settings = {"reload_every": "100ms"}
    with RemediatorProcess(tmp_path, settings=settings, runbooks=books) as started:
        yield started


def _served(daemon: RemediatorProcess) -> set[str]:
    return {str(one["name"]) for one in daemon.api("/api/v1/runbooks")["items"]}


def test_a_folder_is_reloaded_whole_or_not_at_all(daemon: RemediatorProcess) -> None:
    folder = daemon.folder / "runbooks"
    assert _served(daemon) == {"one"}

    (folder / "two.yaml").write_text(BOOK.format(name="two"))
    eventually(lambda: _served(daemon) == {"one", "two"}, what="the second runbook")

    (folder / "bad.yaml").write_text(BOOK.format(name="bad").replace("http.check", "http.chek"))
    (folder / "three.yaml").write_text(BOOK.format(name="three"))
    eventually(
        lambda: daemon.metrics()["remediator_runbook_reload_success"] == 0, what="the bad file"
    )
    assert _served(daemon) == {"one", "two"}, "the last good set goes on serving"
    assert 'bad.yaml:4:28: error: unknown action \\"http.chek\\"' in daemon.log.read_text()

    (folder / "bad.yaml").unlink()
    eventually(lambda: _served(daemon) == {"one", "two", "three"}, what="the mended folder")
    assert daemon.metrics()["remediator_runbook_reload_success"] == 1
    kinds = [record["kind"] for record in daemon.items("/api/v1/audit")]
    assert kinds.count("runbooks.refused") >= 1
    assert kinds.count("runbooks.loaded") >= 3


def test_an_emptied_folder_leaves_the_last_good_set(daemon: RemediatorProcess) -> None:
    (daemon.folder / "runbooks" / "one.yaml").unlink()
    eventually(
        lambda: daemon.metrics()["remediator_runbook_reload_success"] == 0, what="the empty folder"
    )
    assert _served(daemon) == {"one"}
    assert "no runbook is left" in daemon.log.read_text()
