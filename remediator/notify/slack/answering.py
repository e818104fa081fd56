"""What people do in Slack → the desk, and what they are told of it.

Authorises nobody: the desk does, each time, by the user's id. Returns what acknowledges the click
once it is stored; what else is shown follows after that. A modal is opened at once, since Slack
lets us only for three seconds, and filled when the journal has answered. Called by `notifier`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from remediator.clients.errors import ClientError
from remediator.clients.slack.client import SlackClient
from remediator.model.approvals import Answer, DecisionOutcome
from remediator.model.canonical import JSONObject
from remediator.model.quantities import parse_duration
from remediator.model.views import RunView
from remediator.notify.slack import buttons, commands, modals, text
from remediator.notify.slack.home import Homes
from remediator.notify.slack.interactions import (
    Challenge,
    Command,
    Done,
    HomeOpened,
    Press,
    Shortcut,
    Submission,
)
from remediator.plugin.context import Context
from remediator.plugin.notifier import Desk, NotAuthorised

VIA = "slack"
START = "remediator_start"
"""The global shortcut's name in the manifest."""

_NOT_STORED = (
    "Your answer could not be stored, nothing was decided. Press again in a moment, or use "
    "`remediator approve` or `remediator deny`."
)
_NOT_ASKED = "This question no longer stands."
_NO_RUN = "There is no such run."
_LONGEST = 2500


@dataclass(frozen=True, slots=True)
class Answering:
    """Hands one thing that somebody did to the desk."""

    desk: Desk
    client: SlackClient
    homes: Homes
    ctx: Context

    async def answer(self, done: Done) -> JSONObject | None:
        """Store what was done; returns what the acknowledgement carries.

        Raises:
            Exception: it could not be stored; it must not be acknowledged.
        """
        match done:
            case Press():
                await self._press(done)
            case Submission():
                return await self._submission(done)
            case Command():
                return {"response_type": "ephemeral", "text": await self._command(done)}
            case Shortcut(name=name) if name == START:
                self.client.soon(self._open(done.trigger_id, modals.start()))
            case HomeOpened():
                self.homes.opened(done.actor, self.ctx.now())
                self._home(done.actor)
            case Challenge(answer=words):
                return {"challenge": words}
            case _:
                return None
        return None

    # --- buttons

    async def _press(self, press: Press) -> None:
        match press.action.removesuffix("_0").removesuffix("_1"):
            case buttons.APPROVE:
                await self._approve(press)
            case buttons.CANCEL:
                await self._cancel(press)
            case buttons.ACKNOWLEDGE:
                await self._acknowledge(press)
            case buttons.DENY:
                self._modal(press, "Deny", lambda: self._form(press, modals.deny))
            case buttons.SNOOZE:
                self._modal(press, "Snooze", lambda: self._form(press, modals.snooze))
            case buttons.PLAN:
                self._modal(press, "Plan", lambda: self._plan(press.actor, press.value, ""))
            case buttons.RUN:
                self._modal(press, "Plan", lambda: self._plan(press.actor, "", press.value))
            case buttons.PAGE:
                self.client.soon(self._turn(press))
            case buttons.WAITING:
                self._modal(press, "What waits for you", lambda: self._waiting(press.actor))
            case buttons.REFRESH if press.view_kind == "home":
                self.homes.opened(press.actor, self.ctx.now())
                self._home(press.actor)
            case buttons.REFRESH:
                self.client.soon(self._list_again(press, ""))

    async def _approve(self, press: Press) -> None:
        try:
            answered = await self.desk.decide(
                press.value, actor=press.actor, answer=Answer.APPROVE, reason="", via=VIA
            )
            said = answered.message
        except NotAuthorised as refusal:
            said = f"Not counted: {refusal}"
        except Exception:
            # Slack shows a small warning sign, and no more.
            self._tell(press, _NOT_STORED)
            raise
        self._tell(press, said)

    async def _cancel(self, press: Press) -> None:
        try:
            said = await self.desk.cancel(
                press.value, actor=press.actor, reason="cancelled in Slack", via=VIA
            )
        except NotAuthorised as refusal:
            said = f"Not cancelled: {refusal}"
        except Exception:
            self._tell(press, "It could not be stored, nothing was cancelled. Press again.")
            raise
        self._tell(press, said)

    async def _acknowledge(self, press: Press) -> None:
        try:
            said = await self.desk.acknowledge(press.value, actor=press.actor, reason="", via=VIA)
        except NotAuthorised as refusal:
            said = f"Not acknowledged: {refusal}"
        except Exception:
            self._tell(press, "It could not be stored, others may still be called. Press again.")
            raise
        self._tell(press, said)

    def _tell(self, press: Press, said: str) -> None:
        """Show the person who pressed, and nobody else, what became of it."""
        if press.view_kind == "home":
            self.client.soon(self._show_home(press.actor, said))
        elif press.view_id:
            self.client.soon(self._list_or_said(press, said))
        else:
            self.client.answer_later(
                press.response_url, text.sentence(said, [press.actor], _LONGEST)
            )

    async def _list_or_said(self, press: Press, said: str) -> None:
        if not press.meta:  # the list; a plan leaves something
            await self._list_again(press, said)
            return
        await self.client.update_view(press.view_id, modals.said("Plan", said))

    async def _list_again(self, press: Press, said: str) -> None:
        views = await self.desk.waiting_for(press.actor)
        await self.client.update_view(press.view_id, modals.waiting(views, said))

    async def _turn(self, press: Press) -> None:
        question, run = modals.of_meta(press.meta)
        page = int(press.value) if press.value.isascii() and press.value.isdigit() else 0
        view = await self._or_why(self._plan(press.actor, question, run, page), "Plan")
        await self.client.update_view(press.view_id, view)

    # --- modals

    def _modal(self, press: Press, title: str, make: Callable[[], Awaitable[JSONObject]]) -> None:
        self.client.soon(self._opened(press, title, make))

    async def _opened(
        self, press: Press, title: str, make: Callable[[], Awaitable[JSONObject]]
    ) -> None:
        show = self.client.push_view if press.view_kind == "modal" else self.client.open_view
        view_id = await show(press.trigger_id, modals.one_moment(title))
        await self.client.update_view(view_id, await self._or_why(make(), title))

    async def _or_why(self, view: Awaitable[JSONObject], title: str) -> JSONObject:
        """Return a modal, or one that says why there is none."""
        try:
            return await view
        except NotAuthorised as refusal:
            return modals.said(title, f"{refusal}")
        except ClientError:
            raise
        except Exception as error:
            self.ctx.log.warning("a modal can't be filled", error=type(error).__name__)
            return modals.said(title, "It can't be read just now. Close this and press again.")

    async def _open(self, trigger_id: str, view: JSONObject) -> None:
        await self.client.open_view(trigger_id, view)

    async def _form(self, press: Press, form: Callable[[RunView, str], JSONObject]) -> JSONObject:
        view = await self.desk.question(press.value, actor=press.actor)
        if view is None or buttons.open_question(view) != press.value:
            return modals.said("Too late", _NOT_ASKED)
        return form(view, press.value)

    async def _plan(self, actor: str, question: str, run: str, page: int = 0) -> JSONObject:
        if question:
            view = await self.desk.question(question, actor=actor)
            return modals.plan(view, page) if view else modals.said("Plan", _NOT_ASKED)
        view = await self.desk.run(run, actor=actor)
        return modals.plan(view, page) if view else modals.said("Plan", _NO_RUN)

    async def _waiting(self, actor: str) -> JSONObject:
        return modals.waiting(await self.desk.waiting_for(actor))

    async def _submission(self, form: Submission) -> JSONObject | None:
        try:
            match form.form:
                case modals.DENY:
                    return await self._denied(form)
                case modals.SNOOZE:
                    span = form.values.get("span", "")
                    if span not in modals.SPANS:
                        return _faults(span="Choose for how long.")
                    said = await self.desk.snooze(
                        form.meta,
                        actor=form.actor,
                        for_=parse_duration(span),
                        reason=form.values.get("reason", ""),
                        via=VIA,
                    )
                    return _update(modals.said("Snooze", said))
                case modals.START:
                    return await self._started(form)
        except NotAuthorised as refusal:
            return _update(modals.said("Not you", f"{refusal}"))
        return None

    async def _denied(self, form: Submission) -> JSONObject:
        reason = form.values.get("reason", "").strip()
        if not reason:
            return _faults(reason="Say why not.")
        answered = await self.desk.decide(
            form.meta, actor=form.actor, answer=Answer.DENY, reason=reason, via=VIA
        )
        if answered.outcome is DecisionOutcome.NEEDS_REASON:
            return _faults(reason=answered.message)
        self._home(form.actor)
        return _update(modals.said("Deny", answered.message))

    async def _started(self, form: Submission) -> JSONObject:
        read: dict[str, dict[str, str]] = {}
        for field, word in (("labels", "label"), ("parameters", "parameter")):
            lines = [one for one in form.values.get(field, "").splitlines() if one.strip()]
            try:
                read[field] = commands.pairs(lines, word)
            except commands.NotUnderstood as error:
                return _faults(**{field: str(error)})
        name = form.values.get("runbook", "").strip()
        run_id, said = await self.desk.start(
            name, read["labels"], actor=form.actor, via=VIA, parameters=read["parameters"]
        )
        return _update(modals.said("Started", said)) if run_id else _faults(runbook=said)

    # --- commands

    async def _command(self, command: Command) -> str:
        try:
            return await self._asked(commands.parse(command.text), command.actor)
        except commands.NotUnderstood as error:
            return f"{text.cut(str(error), 500)}\n{commands.HELP}"
        except NotAuthorised as refusal:
            return f"Not done: {text.cut(str(refusal), 500)}"

    async def _asked(self, asked: commands.Asked, actor: str) -> str:
        desk = self.desk
        match asked:
            case commands.Help():
                return commands.HELP
            case commands.Status(runs=runs):
                return commands.standing(await desk.standing(actor=actor), runs=runs)
            case commands.Waiting():
                views = await desk.waiting_for(actor)
                shown = [commands.shown(view) for view in views]
                return "\n\n".join(shown) or "Nothing waits for you."
            case commands.Show(run=run):
                view = await desk.run(run, actor=actor)
                return commands.shown(view) if view else _NO_RUN
            case commands.Start(runbook=name, labels=labels):
                _, said = await desk.start(name, labels, actor=actor, via=VIA)
            case commands.Acknowledge(run=run, reason=reason):
                said = await desk.acknowledge(run, actor=actor, reason=reason, via=VIA)
            case commands.Cancel(run=run, reason=reason):
                said = await desk.cancel(
                    run, actor=actor, reason=reason or "cancelled in Slack", via=VIA
                )
            case commands.Pause(scope=scope, for_=for_, reason=reason):
                said = await desk.pause(scope, actor=actor, reason=reason, for_=for_, via=VIA)
            case commands.Resume(scope=scope):
                said = await desk.unpause(scope, actor=actor, via=VIA)
        return text.sentence(said, [actor], _LONGEST)

    # --- home

    def _home(self, actor: str) -> None:
        self.client.soon(self._show_home(actor, ""))

    async def _show_home(self, actor: str, words: str) -> None:
        await self.homes.show(actor, self.desk, self.ctx, words)


def _update(view: JSONObject) -> JSONObject:
    return {"response_action": "update", "view": view}


def _faults(**errors: str) -> JSONObject:
    shown = {block: text.line(words)[:200] for block, words in errors.items()}
    return {"response_action": "errors", "errors": shown}
