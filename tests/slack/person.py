"""A member of the workspace, who reads, presses, types and fills in: what a test does as a person.

Hands everything to the app as Slack would, and shows what the app answers. `faults` says what the
app answered that Slack refuses; the person then sees that something went wrong.
"""

import json
from collections.abc import Mapping
from typing import Any

from tests.slack import payloads
from tests.slack.app import App
from tests.slack.blockkit import inputs
from tests.slack.delivery import Click, Delivery
from tests.slack.errors import ApiError
from tests.slack.view_api import ViewApi
from tests.slack.views import View
from tests.slack.workspace import (
    Channel,
    Message,
    Notification,
    Private,
    Workspace,
    elements,
    view_shown,
)

_TROUBLE = "We had some trouble connecting. Try again?"


class Person:
    """One member, at one screen."""

    def __init__(
        self, user: str, workspace: Workspace, app: App, delivery: Delivery, views: ViewApi
    ) -> None:
        self.id = user
        self.faults: list[str] = []
        self._workspace = workspace
        self._app = app
        self._delivery = delivery
        self._views = views
        self._user = workspace.person(user)

    # -- reading

    @property
    def private(self) -> list[Private]:
        """What only this person was told."""
        return [one for one in self._workspace.private if one.user == self.id]

    @property
    def notifications(self) -> list[Notification]:
        """What rang, in order."""
        return [one for one in self._workspace.rung if one.user == self.id]

    @property
    def direct(self) -> Channel:
        """The conversation with the app."""
        return self._workspace.direct(self.id)

    @property
    def modal(self) -> View | None:
        """The modal on top, if one is open."""
        stack = self._workspace.modals.get(self.id)
        return stack[-1] if stack else None

    @property
    def home(self) -> View | None:
        """The app's Home tab, once the app has published it."""
        return self._workspace.homes.get(self.id)

    def shown(self, view: View | None) -> str:
        """Return what stands in a modal or on the Home tab."""
        assert view is not None, "nothing is open"
        return view_shown(view, self._workspace.reader())

    # -- messages

    async def press(
        self, where: Message | Private | View, label: str, *, sure: bool = True, **tampering: Any
    ) -> Click | None:
        """Press a button.

        Args:
            where: the message, `message.as_seen()` from earlier, or a view.
            label: what stands on the button.
            sure: what to answer where the button asks for confirmation; None comes back for no.
            tampering: handed to `Delivery.send`.
        """
        labels = [(one, _labelled(one)) for one in elements(where.blocks)]
        found = [one for one, text in labels if text == label and one["type"] == "button"]
        assert found, f"there is no button {label!r}, only {[text for _, text in labels]}"
        if "confirm" in found[0] and not sure:
            return None
        return await self.act(where, found[0], **tampering)

    async def choose(self, where: Message | Private | View, option: str, **tampering: Any) -> Click:
        """Choose an option of an overflow menu, a select or radio buttons."""
        for one in elements(where.blocks):
            for given in one.get("options", ()):
                if given["text"]["text"] == option:
                    chosen = one | {"selected_option": given}
                    return await self.act(where, chosen, **tampering)
        raise AssertionError(f"there is no option {option!r}")

    async def act(
        self, where: Message | Private | View, action: Mapping[str, Any], **tampering: Any
    ) -> Click:
        """Hand over one action as it is."""
        trigger_id = self._views.trigger(self.id)
        if isinstance(where, View):
            view = self._views.json(where)
            body = payloads.pressed_in_view(view, action, self._user, trigger_id=trigger_id)
        else:
            body = payloads.pressed(
                where,
                action,
                self._user,
                self._workspace.channels[where.channel],
                trigger_id=trigger_id,
                response_url=self._delivery.response_url(where.channel, where.ts, self.id),
            )
        return await self._delivery.interactive(body, **tampering)

    def say(self, channel: str, text: str, *, under: Message | None = None) -> Message:
        """Write a message, or a reply."""
        message = Message(
            channel,
            self._workspace.stamp(),
            self.id,
            text,
            [],
            thread_ts=under.ts if under else None,
            reader=self._workspace.reader,
        )
        self._workspace.post(message)
        return message

    # -- commands and shortcuts

    async def command(
        self, name: str, text: str = "", *, channel: str = "", **tampering: Any
    ) -> Click:
        """Type a slash command; the app's answer is shown as it asks."""
        known = self._app.commands
        assert known is None or name in known, f"{name} is no command of the app: {known}"
        if known and known[name]:
            text = payloads.escaped(text, self._workspace.reader().names)
        place = self._workspace.channels[channel or next(iter(self._workspace.channels))]
        given = payloads.command(
            name,
            text,
            self._user,
            place,
            trigger_id=self._views.trigger(self.id),
            response_url=self._delivery.response_url(place.id, "", self.id),
        )
        click = await self._delivery.command(given, **tampering)
        if click.acknowledged and click.answer:
            answer = click.answer if isinstance(click.answer, dict) else {"text": click.answer}
            try:
                self._delivery.answer(place.id, "", self.id, answer)
            except ApiError as error:
                self.faults.append(f"{name}: {error.body}")
        elif not click.acknowledged:
            self.faults.append(f"{name} failed because the app did not respond")
        return click

    async def shortcut(
        self, callback_id: str, message: Message | None = None, **tampering: Any
    ) -> Click:
        """Use a global shortcut, or one on a message."""
        known, kind = self._app.shortcuts, "global" if message is None else "message"
        assert known is None or known.get(callback_id) == kind, f"no such shortcut: {known}"
        trigger_id = self._views.trigger(self.id)
        if message is None:
            body = payloads.shortcut(callback_id, self._user, trigger_id=trigger_id)
        else:
            body = payloads.message_action(
                callback_id,
                message,
                self._user,
                self._workspace.channels[message.channel],
                trigger_id=trigger_id,
                response_url=self._delivery.response_url(message.channel, message.ts, self.id),
            )
        return await self._delivery.interactive(body, **tampering)

    async def open_home(self, **tampering: Any) -> Click | None:
        """Open the app's Home tab; None where the app does not want to know."""
        assert self._app.home_tab, "the app has no Home tab"
        if self._app.events is not None and "app_home_opened" not in self._app.events:
            return None
        event: dict[str, Any] = {
            "type": "app_home_opened",
            "user": self.id,
            "channel": self.direct.id,
            "tab": "home",
            "event_ts": self._workspace.stamp(),
        }
        if self.home is not None:
            event["view"] = self._views.json(self.home)
        return await self._delivery.event(event, **tampering)

    # -- modals

    def fill(self, label: str, value: Any) -> None:
        """Fill in an input of the modal on top: text, an option's label or several, an id."""
        view = self.modal
        assert view is not None, "no modal is open"
        for block in inputs(view.blocks):
            if block["label"]["text"] == label:
                state = view.values[block["block_id"]][block["element"]["action_id"]]
                _put(state, block["element"], value)
                return
        labels = [one["label"]["text"] for one in inputs(view.blocks)]
        raise AssertionError(f"there is no input {label!r}, only {labels}")

    async def submit(self, **tampering: Any) -> Click | None:
        """Press the modal's submit button; None where Slack itself finds an answer missing."""
        view = self.modal
        assert view is not None, "no modal is open"
        assert "submit" in view.body, "there is no submit button"
        view.errors = dict(_incomplete(view))
        if view.errors:
            return None
        body = payloads.submitted(
            self._views.json(view), self._user, trigger_id=self._views.trigger(self.id)
        )
        click = await self._delivery.interactive(body, **tampering)
        if not click.acknowledged:
            self._trouble(view, "the submission was not acknowledged")
            return click
        try:
            self._follow(view, click.answer)
        except ApiError as error:
            self._trouble(view, json.dumps(error.body))
        return click

    async def close(self, *, whole_stack: bool = False, **tampering: Any) -> Click | None:
        """Close the modal on top, or all; the app hears of it only if it asked to."""
        stack = self._workspace.modals.get(self.id, [])
        assert stack, "no modal is open"
        view = stack[-1]
        cleared = whole_stack or bool(view.body.get("clear_on_close"))
        gone = list(stack) if cleared else [view]
        self._workspace.modals[self.id] = [one for one in stack if one not in gone]
        heard = None
        for one in reversed(gone):
            if one.body.get("notify_on_close"):
                body = payloads.closed(self._views.json(one), self._user, cleared=cleared)
                heard = await self._delivery.interactive(body, **tampering)
        return heard

    def _follow(self, view: View, answer: Any) -> None:
        """Do what a submission was answered with."""
        stack = self._workspace.modals.get(self.id, [])
        if view not in stack:
            return  # closed meanwhile
        if answer in (None, {}, ""):
            stack.remove(view)
            return
        action = answer.get("response_action") if isinstance(answer, dict) else None
        if action == "clear":
            stack.clear()
        elif action == "update":
            self._views.change(view, answer.get("view"))
        elif action == "push":
            self._views.push(self.id, answer.get("view"), root=False)
        elif action == "errors":
            errors = answer.get("errors")
            known = {one["block_id"] for one in inputs(view.blocks)}
            if not isinstance(errors, dict) or not errors or not set(errors) <= known:
                raise ApiError("invalid_errors", errors=errors, inputs=sorted(known))
            view.errors = dict(errors)
        else:
            raise ApiError("invalid_response_action", answer=answer)

    def _trouble(self, view: View, why: str) -> None:
        self.faults.append(why)
        view.errors = {"": _TROUBLE}


def _labelled(element: Mapping[str, Any]) -> str:
    given = element.get("text") or element.get("placeholder") or {}
    return str(given.get("text", ""))


def _incomplete(view: View) -> list[tuple[str, str]]:
    """What Slack refuses of the answers before the app sees them."""
    found = []
    for block in inputs(view.blocks):
        element = block["element"]
        state = view.values[block["block_id"]][element["action_id"]]
        given = [value for key, value in state.items() if key != "type"]
        if not block.get("optional") and all(value in (None, "", []) for value in given):
            found.append((block["block_id"], "Please complete this required field."))
        text = state.get("value") or ""
        least, most = element.get("min_length", 0), element.get("max_length", 3000)
        if text and not least <= len(text) <= most:
            found.append((block["block_id"], f"Please use {least} to {most} characters."))
    return found


def _put(state: dict[str, Any], element: Mapping[str, Any], value: Any) -> None:
    """Store what was filled in, in the form that a payload's `state` has."""
    if "value" in state:
        state["value"] = value
        return
    (name,) = [key for key in state if key != "type"]
    if value in ("", None):
        state[name] = None
        return
    if not name.startswith("selected_option"):
        state[name] = value
        return
    groups = element.get("option_groups", ())
    options = element.get("options") or [one for group in groups for one in group["options"]]
    by_label = {one["text"]["text"]: one for one in options}
    wanted = value if isinstance(value, list) else [value]
    assert set(wanted) <= set(by_label), f"no such options: {wanted}; there are {list(by_label)}"
    chosen = [by_label[one] for one in wanted]
    state[name] = chosen if name == "selected_options" else chosen[0]
