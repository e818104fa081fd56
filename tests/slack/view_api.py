"""`views.open`, `.push`, `.update`, `.publish`, and the trigger ids that pay for the first two.

A trigger id comes with everything that a person does; it lives for three seconds and is used once.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from tests.slack import views
from tests.slack.app import APP_ID, App
from tests.slack.arguments import Arguments, refuse, structure
from tests.slack.clock import Clock
from tests.slack.errors import ApiError
from tests.slack.views import View
from tests.slack.web_api import Method
from tests.slack.workspace import BOT_ID, TEAM_ID, Workspace

TRIGGER_S = 3.0


class ViewApi:
    """Modals and Home tabs."""

    def __init__(self, workspace: Workspace, app: App, clock: Clock) -> None:
        self._workspace = workspace
        self._app = app
        self._clock = clock
        self._triggers: dict[str, tuple[str, float]] = {}
        self._used: set[str] = set()
        self.methods: Mapping[str, Method] = {
            "views.open": self._open,
            "views.push": self._push,
            "views.update": self._update,
            "views.publish": self._publish,
        }

    def trigger(self, user: str) -> str:
        """Return a trigger id for what a person does now."""
        made = f"{secrets.randbelow(10**6)}.{secrets.randbelow(10**6)}.{secrets.token_hex(8)}"
        self._triggers[made] = (user, self._clock.now() + TRIGGER_S)
        return made

    def json(self, view: View) -> dict[str, Any]:
        """Return a view as payloads show it."""
        return view.json(APP_ID, BOT_ID, TEAM_ID)

    def push(self, user: str, body: Any, *, root: bool) -> View:
        """Show one more modal, or begin anew; for methods and for `response_action`s."""
        self._check(body, "modal")
        stack = [] if root else self._workspace.modals.get(user, [])
        if not root and len(stack) >= views.DEEPEST:
            raise ApiError("push_limit_reached")
        below = stack[-1] if stack else None
        view = View(
            user,
            body,
            root_id=below.root_id if below else "",
            previous_id=below.id if below else None,
        )
        self._workspace.modals[user] = [*stack, view]
        return view

    def change(self, view: View, body: Any) -> None:
        """Show something else in a view that is open."""
        self._check(body, view.body["type"], but=view)
        view.show(body)

    def _open(self, arguments: Arguments) -> Mapping[str, Any]:
        view = self.push(self._exchange(arguments), structure(arguments, "view"), root=True)
        return {"view": self.json(view)}

    def _push(self, arguments: Arguments) -> Mapping[str, Any]:
        user = self._exchange(arguments)
        if not self._workspace.modals.get(user):
            raise ApiError("not_found")
        return {"view": self.json(self.push(user, structure(arguments, "view"), root=False))}

    def _update(self, arguments: Arguments) -> Mapping[str, Any]:
        view = self._find(arguments)
        self._unchanged(view, arguments)
        self.change(view, structure(arguments, "view"))
        return {"view": self.json(view)}

    def _publish(self, arguments: Arguments) -> Mapping[str, Any]:
        user, body = str(arguments.get("user_id", "")), structure(arguments, "view")
        if not self._app.home_tab:
            raise ApiError("not_enabled")
        if user not in self._workspace.users:
            raise ApiError("invalid_user_id")
        known = self._workspace.homes.get(user)
        if known is not None:
            self._unchanged(known, arguments)
            self.change(known, body)
        else:
            self._check(body, "home")
            known = self._workspace.homes[user] = View(user, body)
        return {"view": self.json(known)}

    def _exchange(self, arguments: Arguments) -> str:
        trigger = str(arguments.get("trigger_id", ""))
        if trigger not in self._triggers:
            raise ApiError("invalid_trigger_id")
        if trigger in self._used:
            raise ApiError("exchanged_trigger_id")
        user, expires_at = self._triggers[trigger]
        if self._clock.now() >= expires_at:
            raise ApiError("expired_trigger_id")
        self._check(structure(arguments, "view"), "modal")
        self._used.add(trigger)
        return user

    def _find(self, arguments: Arguments) -> View:
        wanted, external = arguments.get("view_id"), arguments.get("external_id")
        for view in self._workspace.open_views():
            if view.id == wanted or (external and view.body.get("external_id") == external):
                return view
        raise ApiError("not_found")

    def _unchanged(self, view: View, arguments: Arguments) -> None:
        given = arguments.get("hash")
        if given and given != view.hash:
            raise ApiError("hash_conflict")

    def _check(self, body: Any, kind: str, but: View | None = None) -> None:
        refuse(views.faults(body, kind), "invalid_arguments")
        if views.too_large(body):
            raise ApiError("view_too_large")
        external = body.get("external_id")
        for other in self._workspace.open_views():
            if external and other is not but and other.body.get("external_id") == external:
                raise ApiError("duplicate_external_id")
