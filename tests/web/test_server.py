"""Proves how the daemon listens: the addresses it takes and refuses, real ports, TLS with client
certificates out of a CA made here, errors that say what to do; and that a real Alertmanager's
notification arrives, is retried after 503, and is authenticated."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from remediator.journal.values import Overloaded
from remediator.observe import metrics
from remediator.settings import Settings
from remediator.web.server import MOST_CONNECTIONS, Address, ListenError, Server, parse_listen
from remediator.web.tls import TlsError
from tests.servers import alertmanager as servers
from tests.servers.waiting import eventually_async

from .edge import TOKENS, Edge, listening, problem
from .payloads import notification
from .services import Backend


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9095", "127.0.0.1", 9095),
        ("[::1]:80", "::1", 80),
        ("localhost:0", "localhost", 0),
        (":9095", "0.0.0.0", 9095),  # noqa: S104 - what the text asks for
        ("127.0.0.1", "127.0.0.1", 9095),
        ("[::1]", "::1", 9095),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == Address(host, port)


@pytest.mark.parametrize("text", ["127.0.0.1:", "x:port", "x:65536", "::1:9095", "x:-1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ListenError, match="listen"):
        parse_listen(text)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", ":0", "[::]:0", "10.1.2.3:0", "myhost:0"])
def test_strangers_are_not_let_near_a_daemon_without_authentication(listen: str) -> None:
    with pytest.raises(ListenError, match=r"api\.tokens"):
        Server(Backend().services(), Settings(listen=listen))
    Server(Backend().services(), Settings(listen=listen, api=TOKENS))
    Server(
        Backend().services(),
        Settings(listen=listen, senders={"default": {"bearer_token": "sender-token"}}),
    )


async def test_a_taken_port_is_an_error_for_people() -> None:
    async with listening() as edge:
        taken = edge.url.removeprefix("http://")
        second = Server(Backend().services(), Settings(listen=taken))
        with pytest.raises(ListenError, match=f"cannot listen on {taken}.*in use"):
            await second.start()


async def test_port_0_gives_a_real_port_and_stop_twice_is_harmless() -> None:
    server = Server(Backend().services(), Settings(listen="127.0.0.1:0"))
    address = await server.start()
    assert address.port > 0
    await server.stop()
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address.host, address.port)


# ------------------------------------------------------------------------------ TLS


@dataclass(frozen=True)
class Issued:
    cert: Path
    key: Path


class Authority:
    """A CA for one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._sign(self._name, self._key.public_key(), ca=True, alternative=[])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def issue(self, common_name: str, alternative: list[str] | None = None) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        made = self._sign(name, key.public_key(), ca=False, alternative=alternative or [])
        issued = Issued(self._folder / f"{common_name}.crt", self._folder / f"{common_name}.key")
        issued.cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        issued.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return issued

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        ca: bool,
        alternative: list[str],
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(_usage(ca), critical=True)
        )
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in alternative]
        if not ca:
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _usage(ca: bool) -> x509.KeyUsage:
    """What Python 3.13 insists on: an authority may sign certificates, others may sign."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


async def test_client_certificates_let_senders_in(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    listener = ours.issue("remediator")
    senders: dict[str, Any] = {
        "eu": {"client_names": ["alertmanager-eu"]},
        "us": {"client_names": ["am.us.example", "other"], "bearer_token": "us-token"},
    }
    server = Server(
        Backend().services(),
        Settings(
            listen="127.0.0.1:0",
            senders=senders,
            api=TOKENS,
            tls={
                "cert_file": listener.cert,
                "key_file": listener.key,
                "client_ca_file": ours.file,
            },
        ),
    )
    address = await server.start()

    async def post(path: str, certificate: Issued | None, token: str | None = None) -> int:
        context = ssl.create_default_context(cafile=str(ours.file))
        # Else the client has not read the listener's alert when it sees the connection closed.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate.cert, certificate.key)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"https://{address}/webhook/alertmanager/{path}",
                data=notification(),
                ssl=context,
                headers=headers,
            ) as response,
        ):
            return response.status

    try:
        eu, us = ours.issue("alertmanager-eu"), ours.issue("am-us", ["am.us.example"])
        assert await post("eu", eu) == 200
        assert await post("us", us) == 200
        assert await post("us", None, "us-token") == 200
        assert await post("eu", us) == 401
        assert await post("us", eu) == 401
        assert await post("eu", None) == 401
        assert await post("nobody", eu) == 401
        with pytest.raises(aiohttp.ClientError):
            await post("eu", theirs.issue("alertmanager-eu"))
    finally:
        await server.stop()


async def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    good = ours.issue("remediator")
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    for tls, named in (
        ({"cert_file": wrong, "key_file": good.key}, "wrong.pem"),
        ({"cert_file": good.cert, "key_file": tmp_path / "gone.pem"}, "No such file"),
        ({"cert_file": good.cert, "key_file": ours.issue("other").key}, "other.key"),
        (
            {"cert_file": good.cert, "key_file": good.key, "client_ca_file": wrong},
            "client_ca_file",
        ),
    ):
        with pytest.raises(TlsError, match=named):
            Server(Backend().services(), Settings(tls=tls))


# ------------------------------------------------------------------------------ the real sender


async def test_a_real_alertmanager_is_taken_and_comes_again_after_503(tmp_path: Path) -> None:
    backend = Backend()
    backend.intake.fail = [Overloaded("full"), Overloaded("full")]
    async with listening(backend, senders={"default": {"bearer_token": "am-token"}}) as edge:
        config = servers.webhook_config(
            f"{edge.url}/webhook/alertmanager", bearer_token="am-token", group_interval="5s"
        )
        sender = servers.Alertmanager(tmp_path / "am", config)
        await asyncio.to_thread(sender.start)
        try:
            labels = {"alertname": "HighLatency", "pod": "api-1"}
            await asyncio.to_thread(sender.post_alerts, [{"labels": labels}])
            async with asyncio.timeout(30):
                while not backend.intake.taken:
                    backend.intake.arrived.clear()
                    await backend.intake.arrived.wait()
        finally:
            await asyncio.to_thread(sender.stop)
    assert backend.intake.fail == []
    assert backend.intake.taken == [("default", "alertmanager", 1)]


async def test_requests_that_are_no_http_do_not_hurt() -> None:
    async with listening() as edge:
        host, port = edge.url.removeprefix("http://").rsplit(":", 1)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
        await writer.drain()
        assert b"400" in await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        await writer.wait_closed()
        assert (await edge.ask("GET", "/-/healthy")).status == 200
        # aiohttp's parser answers this one by itself, before any of our code.
        assert (await edge.ask("BREW", "/api/v1/runs")).status == 400
        problem(await edge.ask("PATCH", "/api/v1/runs"), 405)


async def test_connections_are_bounded_and_counted() -> None:
    async with listening() as edge:
        host, port = edge.url.removeprefix("http://").rsplit(":", 1)
        writers = []
        for _ in range(MOST_CONNECTIONS):
            _, writer = await asyncio.open_connection(host, int(port))
            writers.append(writer)
        await eventually_async(
            lambda: (
                metrics.REGISTRY.get_sample_value("remediator_http_connections") == MOST_CONNECTIONS
            ),
            what="every connection to be taken",
        )
        reader, one_more = await asyncio.open_connection(host, int(port))
        assert await asyncio.wait_for(reader.read(), 5) == b""
        one_more.close()
        for writer in writers:
            writer.close()
        shown: bytes = await eventually_async(
            partial(_metrics_page, edge), what="room for another connection"
        )
        assert b"remediator_http_connections 1.0" in shown
        assert b'remediator_limit_hit_total{limit="http_connections"}' in shown


async def _metrics_page(edge: Edge) -> bytes:
    try:
        answer = await edge.ask("GET", "/metrics")
    except aiohttp.ClientConnectionError:
        return b""
    return answer.body if b"http_connections 1.0" in answer.body else b""
