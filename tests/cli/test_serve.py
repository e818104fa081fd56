"""Proves how the daemon starts, stops, and says why it can't start; with real processes."""

import re
import signal
import socket
from pathlib import Path

import pytest

from tests.cli.commands import START_WITHIN_S, Box, remediator, serving


def test_it_says_its_url_and_stops_in_order(fresh: Box) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving(fresh) as daemon:
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", fresh.url)
            assert fresh.api("/-/ready") == {"status": "ready"}
            daemon.send_signal(number)
            assert daemon.wait(START_WITHIN_S) == 0
            assert daemon.stdout is not None
            assert daemon.stdout.read() == "", "one line on standard output, and no more"
    verified = remediator("audit", "verify", "--config", fresh.config, cwd=fresh.folder)
    assert verified.returncode == 0, verified.stderr


def test_a_second_daemon_on_one_journal_is_refused(box: Box) -> None:
    refused = remediator("serve", "--config", box.config, cwd=box.folder)
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert "journal.db" in refused.stderr


def test_broken_runbooks_are_told_with_their_places(fresh: Box) -> None:
    file = fresh.folder / "runbooks" / "asks-first.yaml"
    text = file.read_text(encoding="utf-8").replace("mode: approve", "mode: aprove")
    file.write_text(text, encoding="utf-8")
    refused = remediator("serve", "--config", fresh.config, cwd=fresh.folder)
    assert refused.returncode == 1
    assert "remediator: the runbooks can't be used:\n" in refused.stderr
    assert f"{file}:5:7: error: " in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""


def test_a_taken_port_is_told(fresh: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = remediator(
            "serve",
            "--config",
            fresh.config,
            cwd=fresh.folder,
            env={"REMEDIATOR_LISTEN": f"127.0.0.1:{port}"},
        )
    assert refused.returncode == 1
    assert f"remediator: cannot listen on 127.0.0.1:{port}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_unknown_settings_name_the_nearest(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("listn: 127.0.0.1:0\n", encoding="utf-8")
    refused = remediator("serve", "--config", str(config))
    assert refused.returncode == 1
    assert refused.stderr == f"remediator: {config}: listn: unknown key; did you mean listen?\n"


def test_runbooks_on_the_command_line_win(fresh: Box, tmp_path: Path) -> None:
    refused = remediator("serve", "--config", fresh.config, "--runbooks", str(tmp_path / "none"))
    assert refused.returncode == 2
    assert "does not exist" in refused.stderr


@pytest.mark.parametrize("file", ["missing.yaml"])
def test_a_missing_settings_file_is_told(tmp_path: Path, file: str) -> None:
    refused = remediator("serve", "--config", str(tmp_path / file))
    assert refused.returncode == 1
    assert refused.stderr == (
        f"remediator: {tmp_path / file}: cannot read it: No such file or directory\n"
    )
