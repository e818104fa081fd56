"""Mail through one SMTP server, over STARTTLS or TLS. Speaks aiosmtplib; nobody else does.

A connection is made for each message: they are few, and servers close idle ones.
"""

import ssl
from email.message import EmailMessage

import aiosmtplib

from remediator.clients.errors import ClientError, Forbidden, Refused, Unavailable
from remediator.settings import EmailSecurity, EmailSettings

TIMEOUT_S = 20.0
_PORTS = {EmailSecurity.STARTTLS: 587, EmailSecurity.TLS: 465, EmailSecurity.NONE: 25}
_LONGEST_REASON = 300


class MailClient:
    """One mail server."""

    def __init__(self, settings: EmailSettings) -> None:
        self.settings = settings

    async def close(self) -> None:
        """Nothing is held."""

    async def send(self, message: EmailMessage) -> tuple[str, ...]:
        """Send one message; returns the recipients that the server refused, where others were
        taken.

        Raises:
            Unavailable: no answer, or the server can't take it now.
            Forbidden: it does not let us in, or offers no encryption.
            Refused: it will never take this.
        """
        settings = self.settings
        try:
            refused, _ = await aiosmtplib.send(
                message,
                hostname=settings.host,
                port=settings.port or _PORTS[settings.security],
                username=settings.username or None,
                password=settings.password.get_secret_value() if settings.password else None,
                use_tls=settings.security is EmailSecurity.TLS,
                start_tls=settings.security is EmailSecurity.STARTTLS,
                tls_context=self._trust(),
                timeout=TIMEOUT_S,
            )
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError) as error:
            raise self._meant(error) from None
        return tuple(sorted(refused))

    def _trust(self) -> ssl.SSLContext | None:
        settings = self.settings
        if settings.security is EmailSecurity.NONE:
            return None
        cafile = str(settings.ca_file) if settings.ca_file else None
        try:
            return ssl.create_default_context(cafile=cafile)
        except OSError as error:
            raise Forbidden(f"mail: email.ca_file can't be read: {error.strerror}") from None

    def _meant(self, error: Exception) -> ClientError:
        match error:
            case aiosmtplib.SMTPAuthenticationError():
                return Forbidden(self._said(f"the server does not let us in ({error.code})"))
            case aiosmtplib.SMTPException() if "not supported" in str(error):
                return Forbidden(self._said("the server offers no such encryption or login"))
            case aiosmtplib.SMTPRecipientsRefused(recipients=several):
                codes = [one.code for one in several]
                text = self._said(f"all recipients refused: {several[0].message}")
                return Unavailable(text) if any(code < 500 for code in codes) else Refused(text)
            case aiosmtplib.SMTPResponseException(code=code, message=said):
                text = self._said(f"{code} {said}")
                return Refused(text) if code >= 500 else Unavailable(text)
            case _ if isinstance(error.__cause__, ssl.SSLError) or isinstance(error, ssl.SSLError):
                return Forbidden(self._said("its certificate or its TLS is not accepted"))
            case aiosmtplib.SMTPTimeoutError():
                return Unavailable(self._said(f"no answer within {TIMEOUT_S:g}s"))
            case aiosmtplib.SMTPConnectError() | aiosmtplib.SMTPServerDisconnected() | OSError():
                return Unavailable(self._said("no connection"))
            case _:
                return Refused(self._said(type(error).__name__))

    def _said(self, text: str) -> str:
        password = self.settings.password
        if password is not None:
            text = text.replace(password.get_secret_value(), "***")
        text = "".join(c if c.isprintable() else " " for c in text)
        return f"mail by {self.settings.host}: {text[:_LONGEST_REASON]}"
