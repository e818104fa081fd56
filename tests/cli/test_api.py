"""Proves what the commands say when the daemon can't be asked, and how the token gets to it."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import CONFIG, Box, remediator, serving

TOKEN = "a-token-that-is-long-enough"


@pytest.fixture
def strange() -> Iterator[str]:
    """Return the URL of a server that is not remediator."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>It works!</html>")

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    refused = remediator("incidents", "--url", url)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"remediator: nothing answers at {url}: start the daemon with `remediator serve`, or name "
        "another with --url or $REMEDIATOR_URL\n"
    )


def test_somebody_else_listens(strange: str) -> None:
    refused = remediator("runs", "--url", strange)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"remediator: {strange} answered 200 with what is no JSON document: is it remediator?\n"
    )


@pytest.mark.parametrize("url", ["127.0.0.1:9095", "ftp://x", "http://", "http://x:99999"])
def test_no_url(url: str) -> None:
    refused = remediator("runs", "--url", url)
    assert refused.returncode == 2
    assert "is no URL of a daemon; write http://127.0.0.1:9095" in refused.stderr


def test_tokens(tmp_path: Path) -> None:
    config = (
        CONFIG + f"api: {{{{tokens: [{{{{name: alice, token: {TOKEN}, role: operator}}}}]}}}}\n"
    )
    box = Box.make(tmp_path / "b", config)
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    with serving(box):
        without = box.cli("runs")
        assert without.returncode == 1
        assert "the daemon wants a token; put it into $REMEDIATOR_TOKEN" in without.stderr
        wrong = box.cli("runs", env={"REMEDIATOR_TOKEN": "wrong"})
        assert wrong.returncode == 1
        assert "the token was not accepted; check $REMEDIATOR_TOKEN" in wrong.stderr
        for env in ({"REMEDIATOR_TOKEN": TOKEN}, {"REMEDIATOR_TOKEN_FILE": str(file)}):
            assert box.cli("runs", env=env).returncode == 0
        refused = box.cli(
            "runs", "resume", "zzzzzzzz", "--how", "done", env={"REMEDIATOR_TOKEN": TOKEN}
        )
        assert refused.returncode == 1
        assert "admin" in refused.stderr
    missing = box.cli("runs", env={"REMEDIATOR_TOKEN_FILE": str(tmp_path / "none")})
    assert missing.stderr == (
        f"remediator: $REMEDIATOR_TOKEN_FILE: {tmp_path / 'none'} can't be read: "
        "No such file or directory\n"
    )
