"""Email: each run is one conversation, from its question to its end.

Every mail of a run refers to the first, and has the same subject, so that mail programs keep them
together. A mail that is sent twice after a crash has the same Message-ID, by which servers and
programs drop the second. Foreign text is one line each, so that it can't add a header, and HTML is
escaped whole.
"""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import ClassVar

from remediator.clients.mail import MailClient
from remediator.model.canonical import JSONObject
from remediator.model.clock import to_minute
from remediator.model.runs import RunState
from remediator.model.storms import Storm
from remediator.model.views import Note, NoteKind, RunView
from remediator.plugin import delivering, telling
from remediator.plugin.context import Context
from remediator.plugin.notifier import Notifier, StormBar

_LONGEST_SUBJECT = 150


class Email(Notifier):
    """Writes to the addresses of the settings."""

    name = "email"
    storm: ClassVar[StormBar | None] = telling.STORM

    async def announce(
        self, note: Note, view: RunView, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Send a mail, where the note is worth one.

        Raises:
            Undelivered: the mail server is down, or can't take it now.
            Refused: the mail server will never take it.
        """
        if not telling.worth_a_message(note, view) or telling.repeats(note, ref):
            return ref or {}  # the run has been here: a storm counts it once
        client = ctx.client(MailClient)
        settings = client.settings
        mail = compose(
            note,
            view,
            ref,
            from_address=settings.from_address,
            to=settings.to,
        )
        with delivering.telling(note):
            refused = await client.send(mail)
        if refused:
            ctx.log.warning("the mail server refused some recipients", refused=list(refused))
        first = str(ref["first"]) if ref else mail["Message-ID"]
        return {
            "first": first,
            "last": mail["Message-ID"],
            "subject": mail["Subject"],
            "said": note.text[: telling.MAX_TEXT],
        }

    async def announce_storm(
        self, storm: Storm, ref: JSONObject | None, ctx: Context
    ) -> JSONObject | None:
        """Write how a storm stands; one conversation for each storm.

        Raises:
            Undelivered: the mail server is down, or can't take it now.
            Refused: the mail server will never take it.
        """
        client = ctx.client(MailClient)
        settings = client.settings
        number = int(str(ref["number"])) + 1 if ref else 1
        title, lines = telling.storm(storm)
        domain = settings.from_address.rpartition("@")[2]
        first = f"<remediator.storm-{storm.id}.1@{domain}>"
        mail = _envelope(settings.from_address, settings.to, ctx.now())
        mail["Subject"] = f"[remediator] storm since {to_minute(storm.began_at)}"
        mail["Message-ID"] = f"<remediator.storm-{storm.id}.{number}@{domain}>"
        if number > 1:
            mail["In-Reply-To"] = mail["References"] = first
        mail.set_content("\n".join((title, "", *lines)) + "\n")
        with delivering.telling(None):
            await client.send(mail)
        return {"number": number}


def compose(
    note: Note, view: RunView, ref: JSONObject | None, *, from_address: str, to: tuple[str, ...]
) -> EmailMessage:
    """Return the mail of one note, in the conversation that `ref` remembers."""
    told = telling.told(note, view)
    mail = _envelope(from_address, to, note.at)
    mail["Subject"] = str(ref["subject"]) if ref else _subject(view)
    domain = from_address.rpartition("@")[2]
    mail["Message-ID"] = f"<remediator.{note.id}@{domain}>"
    if ref:
        before = dict.fromkeys([str(ref["first"]), str(ref["last"])])
        mail["In-Reply-To"] = str(ref["last"])
        mail["References"] = " ".join(before)
    if note.kind is NoteKind.ESCALATION:
        mail["Importance"] = "high"
        mail["X-Priority"] = "1"
    mail.set_content(_plain(note, view, told))
    mail.add_alternative(_html(note, view, told), subtype="html")
    return mail


def _envelope(from_address: str, to: tuple[str, ...], at: datetime) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = f"remediator <{from_address}>"
    mail["To"] = ", ".join(to)
    mail["Date"] = format_datetime(at)
    # Neither absence notes nor other machines should answer (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    return mail


def _subject(view: RunView) -> str:
    run = view.run
    labels = view.incident.labels if view.incident is not None else {}
    about = run.target or labels.get("alertname", "")
    text = f"[remediator] {run.runbook}" + (f": {about}" if about else "")
    # The run's tail keeps two runs of one runbook apart where a mail program goes by the subject.
    return f"{telling.cut(text, _LONGEST_SUBJECT)} ({run.id[-6:]})"


def _command(note: Note, view: RunView) -> str:
    if note.kind is NoteKind.ESCALATION:
        return f"remediator runs ack {view.run.id}"
    if note.kind is NoteKind.APPROVAL and view.run.state is RunState.AWAITING_APPROVAL:
        return f"remediator approve {view.run.id}"
    return f"remediator runs show {view.run.id}"


def _plain(note: Note, view: RunView, told: telling.Told) -> str:
    blocks = [
        [told.title, told.text],
        [f"{name}: {value}" for name, value in told.facts],
        [f"- {change}" for change in told.changes],
        [f"way back: {one}" for one in told.way_back],
        [f"{name}={value}" for name, value in told.labels],
        [f"{text}: {url}" for text, url in told.links],
        [f"$ {_command(note, view)}"],
    ]
    return "\n\n".join("\n".join(lines) for lines in blocks if lines) + "\n"


def _html(note: Note, view: RunView, told: telling.Told) -> str:
    rows = "".join(
        f"<tr><th align='left'>{escape(name)}</th><td>{escape(value)}</td></tr>"
        for name, value in (*told.facts, *told.labels)
    )
    changes = "".join(f"<li><code>{escape(one)}</code></li>" for one in told.changes)
    back = "".join(f"<li>{escape(one)}</li>" for one in told.way_back)
    links = " · ".join(
        f'<a href="{escape(url, quote=True)}">{escape(text)}</a>' for text, url in told.links
    )
    return (
        "<!doctype html><html><body>"
        f"<h3>{escape(told.title)}</h3><p>{escape(told.text)}</p>"
        f"<ul>{changes}</ul>"
        + (f"<p>Way back:</p><ul>{back}</ul>" if back else "")
        + f"<table cellpadding='3'>{rows}</table><p>{links}</p>"
        f"<p><code>{escape(_command(note, view))}</code></p></body></html>\n"
    )
