"""Proves that a run is one conversation by mail, over STARTTLS and TLS with a login, that alert
text adds no header and no HTML, and what a server's refusals mean; against a real SMTP server."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr, ValidationError

from remediator.clients.mail import MailClient
from remediator.model.runs import RunState
from remediator.model.storms import Storm, StormRun
from remediator.model.views import NoteKind
from remediator.notify.email import Email
from remediator.plugin.notifier import Refused, Undelivered
from remediator.settings import EmailSecurity, EmailSettings
from tests.notify import certificates, views
from tests.notify.channel import Channel, opened
from tests.notify.mail_server import PASSWORD, USER, MailServer
from tests.notify.views import RUN_ID, T0, note


@pytest_asyncio.fixture
async def server() -> AsyncIterator[MailServer]:
    server = await MailServer().start()
    yield server
    await server.stop()


def client(server: MailServer, **changes: Any) -> MailClient:
    given = {
        "host": "127.0.0.1",
        "port": server.port,
        "security": EmailSecurity.NONE,
        "from_address": "remediator@shop.example",
        "to": ("sre@shop.example", "shop@shop.example"),
    }
    return MailClient(EmailSettings(**{**given, **changes}))


@pytest_asyncio.fixture
async def channel(server: MailServer) -> AsyncIterator[Channel]:
    async with opened(Email(), client(server)) as channel:
        yield channel


async def test_a_run_is_one_conversation(server: MailServer, channel: Channel) -> None:
    await channel.tell(note(NoteKind.APPROVAL, "asks for approval", id="run-1"), views.view())
    await channel.page()
    await channel.state(RunState.SUCCEEDED, target="another name by now")
    first, second, last = server.inbox
    assert first["Message-ID"] == "<remediator.run-1@shop.example>"
    assert first["References"] is None
    assert second["In-Reply-To"] == first["Message-ID"]
    assert last["References"] == f"{first['Message-ID']} {second['Message-ID']}"
    assert {mail["Subject"] for mail in server.inbox} == {
        f"[remediator] api-latency-scale-out: deployment shop/api ({RUN_ID[-6:]})"
    }
    assert {mail["Auto-Submitted"] for mail in server.inbox} == {"auto-generated"}
    assert (first["Importance"], second["Importance"]) == (None, "high")
    assert first["To"] == "sre@shop.example, shop@shop.example"


async def test_a_mail_says_it_in_text_and_html(server: MailServer, channel: Channel) -> None:
    await channel.tell(note(NoteKind.APPROVAL, "asks for approval"), views.view())
    text = server.inbox[0].get_body(("plain",))
    html = server.inbox[0].get_body(("html",))
    assert text is not None
    assert html is not None
    assert "- deployment shop/api: spec.replicas: 4 → 6" in text.get_content()
    assert f"$ remediator approve {RUN_ID}" in text.get_content()
    assert "<code>deployment shop/api: spec.replicas: 4 → 6</code>" in html.get_content()


async def test_alert_text_adds_no_header_and_no_html(server: MailServer, channel: Channel) -> None:
    evil = "x\r\nBcc: everybody@evil.example\r\n\r\n<script>alert(1)</script>\u202e"
    forged = views.view(
        RunState.FAILED, labels={"alertname": evil}, run={"target": evil, "runbook": "r"}
    )
    await channel.tell(note(NoteKind.ESCALATION, evil), forged)
    (mail,) = server.inbox
    assert mail["Bcc"] is None
    assert "⏎Bcc: everybody@evil.example" in mail["Subject"]
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert "\u202e" not in str(mail)


async def test_what_is_told_twice_has_one_message_id(server: MailServer, channel: Channel) -> None:
    await channel.page()
    channel.ref = None  # it crashed before the journal had it
    await channel.page()
    assert len({mail["Message-ID"] for mail in server.inbox}) == 1


@pytest.mark.parametrize("security", [EmailSecurity.STARTTLS, EmailSecurity.TLS])
async def test_the_connection_is_secured_and_logged_in(
    tmp_path: Path, security: EmailSecurity
) -> None:
    certificate = certificates.issue(tmp_path)
    server = await MailServer(certificate, security is EmailSecurity.TLS).start()
    given = {
        "security": security,
        "ca_file": certificate[0],
        "username": USER,
        "password": SecretStr(PASSWORD),
    }
    try:
        async with opened(Email(), client(server, **given)) as channel:
            await channel.page()
        wrong = client(server, **{**given, "password": SecretStr("wr0ng-password")})
        async with opened(Email(), wrong) as channel:
            with pytest.raises(Refused, match="does not let us in") as refused:
                await channel.page()
        untrusted = client(server, **{**given, "ca_file": None})
        async with opened(Email(), untrusted) as channel:
            with pytest.raises(Refused, match="certificate"):
                await channel.page()
    finally:
        await server.stop()
    assert len(server.inbox) == 1
    assert "wr0ng" not in str(refused.value)


async def test_no_password_and_no_mail_goes_out_in_the_clear(server: MailServer) -> None:
    plain = client(server, security=EmailSecurity.STARTTLS)  # the server offers none
    async with opened(Email(), plain) as channel:
        with pytest.raises(Refused, match="no such encryption"):
            await channel.page()
    with pytest.raises(ValidationError, match="starttls or tls only"):
        client(server, username="u", password=SecretStr("p4ssword"))


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        ("451 greylisted, come again", Undelivered),
        ("452 no space", Undelivered),
        ("554 spam", Refused),
    ],
)
async def test_a_refusal_means_what_its_code_says(
    server: MailServer, channel: Channel, answer: str, raised: type[Exception]
) -> None:
    server.answer = answer
    with pytest.raises(raised, match=answer[:3]):
        await channel.state(RunState.SUCCEEDED)


async def test_one_recipient_that_is_refused_keeps_it_from_nobody_else(
    server: MailServer, channel: Channel
) -> None:
    server.refuse["shop@shop.example"] = "550 no such user"
    await channel.page()
    assert len(server.inbox) == 1
    assert channel.context.log.events == ["the mail server refused some recipients"]
    server.refuse["sre@shop.example"] = "450 later"
    with pytest.raises(Undelivered, match="all recipients"):
        await channel.page()


async def test_a_server_that_is_down_and_comes_back(server: MailServer) -> None:
    unreachable = client(server)
    await server.stop()
    async with opened(Email(), unreachable) as channel:
        with pytest.raises(Undelivered, match="no connection"):
            await channel.page()


@pytest.mark.parametrize("to", ["a@b\r\nBcc: c@d", "nobody", "A <a@b.example>", "ü@b.example"])
def test_an_address_that_is_none_is_an_error_at_the_start(to: str) -> None:
    with pytest.raises(ValidationError, match="no mail address"):
        EmailSettings(host="h", from_address="r@shop.example", to=(to,))


async def test_a_storm_is_one_conversation_too(server: MailServer, channel: Channel) -> None:
    email = channel.notifier
    one = Storm(
        id="s1",
        place="",
        began_at=T0,
        closed_at=None,
        by_state={RunState.AWAITING_APPROVAL: 12, RunState.FAILED: 3},
        by_runbook={"api-latency": 15},
        first=(StormRun("run-1", "api-latency", "deployment shop/api", RunState.FAILED),),
    )
    ref = await email.announce_storm(one, None, channel.context)
    await email.announce_storm(replace(one, closed_at=T0), ref, channel.context)
    first, last = server.inbox
    assert (first["Subject"], last["References"]) == (last["Subject"], first["Message-ID"])
    text = first.get_body(("plain",))
    assert text is not None
    assert "storm: 15 runs, 12 wait for a person" in text.get_content()
    assert "deployment shop/api: failed" in text.get_content()


async def test_what_is_not_told_is_remembered(server: MailServer, channel: Channel) -> None:
    assert await channel.tell(note(NoteKind.STEP), views.view(RunState.APPLYING)) == {}
    await channel.page()
    assert len(server.inbox) == 1
