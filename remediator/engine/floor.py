"""What the lanes of one block change at this moment, so that no two of them meet at one target.

The journal's lock on a target is the run's: within the run, this is what keeps changes of one
target apart. In memory only; after a crash what was in hand is taken up one after the other.
"""

import asyncio
from collections.abc import Collection

from remediator.model.plans import Plan

_ALONE = "uncheckable"


class Floor:
    """The targets in hand, and whether any further change may be begun.

    Changes that nobody could check afterwards are begun one at a time, whatever their targets: so
    after a crash a person is asked about one.
    """

    def __init__(self) -> None:
        self.closed = False
        """Set where a lane went wrong: nothing new is begun."""
        self.silencing = asyncio.Lock()
        self._taken: set[str] = set()
        self._freed = asyncio.Event()

    def take(self, plan: Plan) -> bool:
        """Take what a plan changes; False where another lane changes it now."""
        keys = self._keys(plan)
        if not self._taken.isdisjoint(keys):
            return False
        self._taken.update(keys)
        return True

    def free(self, plan: Plan) -> None:
        """Give back what `take` took."""
        self._taken.difference_update(self._keys(plan))
        self._freed.set()
        self._freed = asyncio.Event()

    async def until_free(self, plan: Plan) -> None:
        """Return when nothing of what a plan changes is taken, or nothing new may be begun."""
        while not self.closed and not self._taken.isdisjoint(self._keys(plan)):
            await self._freed.wait()

    def close(self) -> None:
        """Let nothing new be begun; whoever waits goes on."""
        self.closed = True
        self._freed.set()

    @staticmethod
    def _keys(plan: Plan) -> Collection[str]:
        return {plan.target.key} if plan.checkable else {plan.target.key, _ALONE}
