"""What the daemon is compared with: `python -m benchmarks.baselines bare|commit PORT [FILE]`.

`bare` is the least that aiohttp and uvloop can do: read the body, parse the JSON, answer 200.
`commit` also stores the body, with one SQLite commit a request (WAL, `synchronous=FULL`), in the
event loop: a thread for it would only be slower.
"""

import json
import sqlite3
import sys

import uvloop
from aiohttp import web

# As the daemon's: storms of 20,000 alerts are posted to it as well.
_MAX_BODY_BYTES = 64 * 2**20


async def bare(request: web.Request) -> web.Response:
    """Parse, answer."""
    json.loads(await request.read())
    return web.json_response({"status": "ok"})


def committing(path: str) -> "web.Application":
    """Return the application that commits each body to this file."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, body BLOB)")

    async def commit(request: web.Request) -> web.Response:
        body = await request.read()
        json.loads(body)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO bodies (body) VALUES (?)", (body,))
        connection.execute("COMMIT")
        return web.json_response({"status": "ok"})

    return _application(commit)


def _application(handler: "web.Handler") -> web.Application:  # type: ignore[name-defined]
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app.router.add_post("/webhook/alertmanager", handler)
    app.router.add_get("/-/ready", lambda _: _ready())
    return app


async def _ready() -> web.Response:
    return web.Response()


def main(kind: str, port: str, path: str = "") -> None:
    """Serve until killed."""
    app = _application(bare) if kind == "bare" else committing(path)
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=int(port), access_log=None, print=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
