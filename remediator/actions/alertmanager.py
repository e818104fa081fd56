"""`alertmanager.firing`: does an alert with these labels fire now, by any peer of a sender?"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from remediator.clients.alertmanager import Alertmanagers
from remediator.model.clock import to_text
from remediator.model.plans import Result
from remediator.model.signals import Signal
from remediator.plugin.action import ActionParams, Permanent, Permission, Probe, Temporary
from remediator.plugin.context import Context


class Firing(Probe["Firing.Params"]):
    """Asks the Alertmanagers of one sender in the settings."""

    name = "alertmanager.firing"
    summary = "Ask Alertmanager whether an alert with these labels fires now."
    example = """
labels: {alertname: HighLatency, namespace: shop}
expect: resolved
"""
    Output: ClassVar[dict[str, str]] = {"firing": "bool", "starts_at": "dyn"}

    class Params(ActionParams):
        """Which alert, and what to expect."""

        labels: Annotated[
            Mapping[Annotated[str, Field(min_length=1)], str],
            Field(min_length=1, max_length=100),
        ]
        """Labels that the alert must have; it may have more. A silenced alert still fires."""
        sender: str = "default"
        """Whose Alertmanagers are asked: a name under `senders` in the settings."""
        expect: Literal["firing", "resolved"] = "firing"
        """What must be so."""

    def permissions(self, params: Params) -> Sequence[Permission]:
        """Return what a proxy in front of Alertmanager must allow."""
        return [Permission("alertmanager", what, ("get",)) for what in ("alerts", "status")]

    async def probe(self, params: Params, ctx: Context) -> Result:
        """Ask all peers once."""
        seen = await ctx.client(Alertmanagers).look(params.sender, params.labels)
        if seen.signal is Signal.NOT_CONFIGURED:
            raise Permanent(
                f"the sender {params.sender!r} has no Alertmanager to ask: set "
                f"senders.{params.sender}.alertmanager in the settings"
            )
        if seen.signal is Signal.UNKNOWN:
            raise Temporary(f"no Alertmanager can say: {'; '.join(seen.silent)[:500]}")
        fires = seen.signal is Signal.FIRING
        since = to_text(seen.starts_at) if seen.starts_at else None
        return Result(
            f"the alert fires since {since}" if fires else "the alert does not fire",
            ok=fires == (params.expect == "firing"),
            changed=False,
            output={"firing": fires, "starts_at": since},
        )
