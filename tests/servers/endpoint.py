"""A small HTTP server inside the test process, on a free loopback port."""

import http.server
import threading
from typing import Self


class Endpoint:
    """What the webhook receiver and the exporter have in common: listening, and its end."""

    def __init__(self, handler: "type[QuietHandler]", port: int = 0) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class QuietHandler(http.server.BaseHTTPRequestHandler):
    """Answers without a word on the console."""

    def answer(self, status: int, body: bytes = b"", content_type: str = "text/plain") -> None:
        """Sends a whole response."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Says nothing."""
