"""Proves of the one HTTP client, against servers on loopback: what counts as no answer and how it
is told, the limit on bytes, that redirects stay where they are, and that no credential of a URL
gets into a message."""

import asyncio
import json
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from remediator.clients import http
from remediator.clients.errors import Refused, Unavailable
from remediator.clients.http import Answer, HttpClient

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    made = HttpClient()
    yield made
    await made.close()


@pytest.fixture
async def served() -> AsyncIterator[Serve]:
    """`await served(handler)` returns a base URL; with `tls` a folder for a self-signed pair."""
    runners: list[web.AppRunner] = []

    async def serve(handler: Handler, tls: Path | None = None) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        runners.append(runner)
        context = _tls(tls) if tls else None
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        return f"{'https' if tls else 'http'}://127.0.0.1:{port}"

    yield serve
    for runner in runners:
        await runner.cleanup()


def _tls(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key,
         "-out", certificate, "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def get(client: HttpClient, url: str, **more: object) -> Answer:
    options: dict[str, object] = {"timeout_s": 10.0, "max_bytes": 1000, **more}
    return await client.request("GET", url, **options)  # type: ignore[arg-type] # a test's brevity


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello", headers={"X-Name": "v"})


async def test_an_answer(client: HttpClient, served: Serve) -> None:
    answer = await get(client, await served(hello))
    assert (answer.status, answer.text, answer.truncated) == (200, "hello", False)
    assert answer.headers["x-name"] == "v"


@pytest.mark.parametrize(("size", "truncated"), [(999, False), (1000, False), (1001, True)])
async def test_the_limit_on_bytes(
    client: HttpClient, served: Serve, size: int, truncated: bool
) -> None:
    async def body(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * size)

    answer = await get(client, await served(body))
    assert len(answer.body) == min(size, 1000)
    assert answer.truncated is truncated


async def test_an_endless_body_is_not_waited_for(client: HttpClient, served: Serve) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 4096)

    answer = await get(client, await served(endless))
    assert answer.truncated


async def test_a_compressed_bomb_is_not_unpacked(client: HttpClient, served: Serve) -> None:
    async def bomb(request: web.Request) -> web.Response:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=b"\x1f\x8b bomb", headers={"Content-Encoding": "gzip"})

    assert (await get(client, await served(bomb))).body == b"\x1f\x8b bomb"


async def test_redirects_stay_unless_they_are_asked_for(client: HttpClient, served: Serve) -> None:
    async def here(request: web.Request) -> web.Response:
        if request.path == "/there":
            return web.Response(text="there")
        raise web.HTTPFound("/loop" if request.path == "/loop" else "/there")

    url = await served(here)
    assert (await get(client, url)).status == 302
    assert (await get(client, url, follow_redirects=True)).text == "there"
    with pytest.raises(Unavailable, match="more than 5 redirects"):
        await get(client, f"{url}/loop", follow_redirects=True)


@pytest.mark.parametrize(
    "to", ["ftp://x/", "http://[::1", "http:///x", "http://h:99999/", "javascript:alert(1)"]
)
async def test_a_redirect_to_nowhere_is_the_servers_fault(
    client: HttpClient, served: Serve, to: str
) -> None:
    async def astray(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": to})

    with pytest.raises(Unavailable):
        await get(client, await served(astray), follow_redirects=True)


async def test_a_slow_answer(client: HttpClient, served: Serve) -> None:
    forever = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await forever.wait()
        return web.Response()

    with pytest.raises(Unavailable, match=r"no answer within 0\.2s"):
        await get(client, await served(slow), timeout_s=0.2)
    forever.set()


async def test_nobody_listens(client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unavailable, match=f"http://127.0.0.1:{port}/x: no connection: "):
        await get(client, f"http://127.0.0.1:{port}/x?secret=1")


async def test_a_name_that_does_not_exist(client: HttpClient) -> None:
    with pytest.raises(Unavailable, match="its name can't be resolved"):
        await get(client, "http://no-such-host.invalid/")


@pytest.mark.parametrize(
    "said",
    [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"],
)
async def test_what_is_no_http(client: HttpClient, said: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable, match=r"closed|not HTTP|broke"):
            await get(client, f"http://127.0.0.1:{port}/")


async def test_certificates_are_checked_unless_told_otherwise(
    client: HttpClient, served: Serve, tmp_path: Path
) -> None:
    url = await served(hello, tls=tmp_path)
    with pytest.raises(Unavailable, match="its certificate is not accepted: self"):
        await get(client, url)
    assert (await get(client, url, verify=False)).status == 200
    with pytest.raises(Unavailable):
        await get(client, url)  # and skipping it once is not remembered


@pytest.mark.parametrize(
    "url", ["ftp://host/", "host", "", "http://", "http://[::1", "http://host:99999/", "/x"]
)
async def test_what_is_no_url(client: HttpClient, url: str) -> None:
    with pytest.raises(Refused, match=r"URL|request"):
        await get(client, url)


async def test_headers_can_not_be_smuggled(client: HttpClient, served: Serve) -> None:
    with pytest.raises(Refused, match="no request that can be sent"):
        await get(client, await served(hello), headers={"X": "a\r\nY: b"})


async def test_credentials_stay_out_of_messages(client: HttpClient) -> None:
    with pytest.raises(Unavailable) as failed:
        await get(client, "http://user:s3cret@127.0.0.1:1/x?token=s3cret#s3cret")
    assert "s3cret" not in str(failed.value)
    assert http.shown("http://user:s3cret@host/x?q=s3cret") == "http://host/x"
    assert http.shown("http://[s3cret") == "the URL"


async def test_query_values_arrive_as_they_are(client: HttpClient, served: Serve) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.json_response(list(request.query.items()))

    pairs = [("filter", 'a="b;c&d=+ %20\\"é"'), ("filter", "2"), ("q", "")]
    answer = await get(client, await served(echo), query=pairs)
    assert [tuple(pair) for pair in json.loads(answer.text)] == pairs


async def test_closing_twice_is_once() -> None:
    client = HttpClient()
    await client.close()
    with pytest.raises(Unavailable):
        await get(client, "http://127.0.0.1:1/")
    await client.close()
    await client.close()
