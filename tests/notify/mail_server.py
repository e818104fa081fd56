"""A mail server on loopback: aiosmtpd, with STARTTLS or TLS and a login, and its inbox."""

import asyncio
import email
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

USER, PASSWORD = "remediator", "l0gin-of-the-mail-server"


@dataclass
class MailServer:
    """Takes mail for anybody. Start it, give the client `port`."""

    certificate: tuple[Path, Path] | None = None
    """Certificate and key."""
    implicit_tls: bool = False
    inbox: list[EmailMessage] = field(default_factory=list)
    answer: str = ""
    """Answer DATA with this instead of taking it: 451 …, 554 …"""
    refuse: dict[str, str] = field(default_factory=dict)
    """Recipient → what RCPT is answered."""
    _server: asyncio.Server | None = None

    async def start(self) -> "MailServer":
        """Listen on a free loopback port."""
        context = None
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)

        def session() -> SMTP:
            return SMTP(
                self,
                hostname="mail.test",
                tls_context=None if self.implicit_tls else context,
                require_starttls=context is not None and not self.implicit_tls,
                auth_required=context is not None and not self.implicit_tls,
                auth_require_tls=not self.implicit_tls,
                authenticator=_login,
                enable_SMTPUTF8=True,
                ident="test",
            )

        self._server = await asyncio.get_running_loop().create_server(
            session, "127.0.0.1", 0, ssl=context if self.implicit_tls else None
        )
        return self

    async def stop(self) -> None:
        """Stop listening. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take or refuse one recipient."""
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        """Take or refuse one message."""
        if self.answer:
            return self.answer
        content = cast(bytes, envelope.content)
        # Longer lines are cut or refused on the way (RFC 5321).
        assert max(len(line) for line in content.split(b"\r\n")) <= 998
        self.inbox.append(email.message_from_bytes(content, policy=default))
        return "250 taken"


def _login(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
    right = isinstance(given, LoginPassword) and (given.login, given.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=right, handled=False)
