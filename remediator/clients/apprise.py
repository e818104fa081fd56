"""Any other service, through the library Apprise, which is an extra: `remediator[apprise]`.

Says whether a message was taken, and no more: the library tells neither a throttle's patience nor
what a service found wrong, and has nothing to resolve. Each address is a secret.
"""

from collections.abc import Mapping
from importlib.util import find_spec

from remediator.clients.errors import Forbidden, Unavailable
from remediator.settings import AppriseSettings

TIMEOUT_S = 20
INSTALL = "install the extra: pip install 'remediator[apprise]'"


def installed() -> bool:
    """Whether the library is there."""
    return find_spec("apprise") is not None


class AppriseClient:
    """All Apprise addresses of the settings."""

    def __init__(self, addresses: Mapping[str, AppriseSettings]) -> None:
        self._addresses = addresses

    async def close(self) -> None:
        """Nothing is held."""

    async def notify(self, name: str, *, title: str, body: str, urgent: bool) -> None:
        """Send one message to one address.

        Raises:
            Unavailable: it was not taken.
            Forbidden: the address is none, or the library is missing.
        """
        if not installed():
            raise Forbidden(f"apprise {name}: {INSTALL}")
        import apprise  # noqa: PLC0415 - an extra, and slow to import

        known = self._addresses.get(name)
        # Nothing is kept on disk, and no address stands in the library's log.
        asset = apprise.AppriseAsset(storage_mode="memory", secure_logging=True)
        sender = apprise.Apprise(asset=asset)
        if known is None or not sender.add(known.url.get_secret_value()):
            raise Forbidden(f"apprise {name}: its address is none that Apprise knows")
        kind = apprise.NotifyType.FAILURE if urgent else apprise.NotifyType.INFO
        told = await sender.async_notify(
            body=body,
            title=title,
            notify_type=kind,
            body_format=apprise.NotifyFormat.TEXT,
            timeout=TIMEOUT_S,
        )
        if not told:
            raise Unavailable(f"apprise {name}: not delivered")
