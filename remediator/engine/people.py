"""Who somebody is: is this actor one of these names, and which role has this actor.

Owns that answer for everything that people do, whichever way they come. An actor is an
authenticated identity (`slack:U123`, `api:alice`, `local`); a name is an identity, a person or a
group of the settings, `slack-group:S123`, or `schedule:NAME`. Identities that the settings give to
one person are one person here. What is kept elsewhere (a user group, an on-call schedule) is asked
there: a little old for what is only shown, afresh for whatever is decided. Where it can't be asked
nobody is let in for it.

Must not decide what a role or a membership allows; `desk` and `approvals` do.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from remediator.model.clock import Clock
from remediator.observe import logs, metrics
from remediator.settings import Role, Settings

log = logs.get(__name__)

ROSTER_AGE = timedelta(minutes=1)
"""How old a roster may be for what is only shown. A list of what waits asks for each of its
questions, and Slack answers about twenty such calls a minute; who joined a minute ago can wait."""

ROSTER_TIMEOUT_S = 2.0
"""How long a roster is waited for: Slack takes a click back after three seconds without an
answer."""


class Roster(Protocol):
    """A list of people that is kept elsewhere."""

    async def members(self, name: str, at: datetime) -> frozenset[str]:
        """Return the identities on it now.

        Args:
            name: what the list is called there.
            at: now.

        Raises:
            Exception: it can't be told; the text says why.
        """
        ...


class CannotTell(Exception):
    """Whether somebody belongs can't be found out now; the text says why. Nobody is let in."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the settings say about people.

    Args:
        groups: name → names of its members; groups do not nest.
        people: person → identities.
        roles: role → names that have it.
        tokens: `api:<name>` → the role of that API token.
    """

    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    people: Mapping[str, Sequence[str]] = field(default_factory=dict)
    roles: Mapping[Role, Sequence[str]] = field(default_factory=dict)
    tokens: Mapping[str, Role] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "Known":
        """Return what these settings say."""
        roles = settings.roles
        return cls(
            groups=settings.groups,
            people=settings.people,
            roles={
                Role.VIEWER: roles.viewer,
                Role.OPERATOR: roles.operator,
                Role.ADMIN: roles.admin,
            },
            tokens={f"api:{token.name}": token.role for token in settings.api.tokens},
        )


Asked = dict[str, "asyncio.Future[frozenset[str]]"]
"""What was asked elsewhere for one decision, by name."""


class Directory:
    """Answers who somebody is.

    Args:
        known: what the settings say.
        rosters: by prefix, `slack-group` and `schedule`.
        clock: for the age of what was asked elsewhere.
    """

    def __init__(
        self, known: Known, clock: Clock, rosters: Mapping[str, Roster] | None = None
    ) -> None:
        self._known = known
        self._clock = clock
        self._rosters = rosters or {}
        self._person = {
            identity: person for person, ids in known.people.items() for identity in ids
        }
        self._seen: dict[str, tuple[datetime, frozenset[str]]] = {}

    def person(self, identity: str) -> str:
        """Return who stands behind an identity; of nobody's, the identity itself."""
        return self._person.get(identity, identity)

    def comes_in(self, actor: str) -> bool:
        """Whether an identity that gave its word before could still come in: its API token may have
        been taken away, and `local` is nobody once there are tokens."""
        tokens = self._known.tokens
        if not tokens:
            return True
        return actor in tokens if actor.startswith("api:") else actor != "local"

    async def among(
        self, actor: str, names: Iterable[str], *, fresh: bool, asked: "Asked | None" = None
    ) -> bool:
        """Whether the actor, or the person behind it, is one of these.

        Args:
            actor: an authenticated identity.
            names: identities, people, groups, `slack-group:…`, `schedule:…`.
            fresh: ask what is kept elsewhere now, whatever is remembered.
            asked: of one decision, so that it asks for each list once.

        Raises:
            CannotTell: none of the names that could be looked up lets the actor in, and another
                could not be.
        """
        person = self.person(actor)
        flat = self._flat(names)
        if any(self.person(one) == person for one in flat):
            return True
        elsewhere = [name for name in flat if self._could_hold(name, person, actor)]
        found = await asyncio.gather(
            *(self._roster(name, fresh=fresh, asked=asked) for name in elsewhere),
            return_exceptions=True,
        )
        trouble: BaseException | None = None
        for one in found:
            if isinstance(one, BaseException):
                trouble = one
            elif any(self.person(identity) == person for identity in one):
                return True
        if trouble is not None:
            raise trouble
        return False

    async def on_call(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return who is on call by the schedules among these names, to be shown: identities where
        they are known, Slack's first. Where it can't be told, nobody."""
        found: list[str] = []
        for name in self._flat(names):
            if name.startswith("schedule:"):
                try:
                    found += sorted(await self._roster(name, fresh=False, asked=None))
                except CannotTell:
                    continue
        return tuple(dict.fromkeys(self._shown(one) for one in found))

    def _flat(self, names: Iterable[str]) -> list[str]:
        flat = (one for name in names for one in self._known.groups.get(name, (name,)))
        return list(dict.fromkeys(flat))

    def _shown(self, name: str) -> str:
        identities = self._known.people.get(self.person(name), ())
        return next((one for one in identities if one.startswith("slack:")), name)

    async def role(self, actor: str, *, fresh: bool) -> Role | None:
        """Return the highest role of an actor, None where it has none.

        An API token has the role that it was given, and no other. `local` is whoever sits at this
        machine while no token is configured: the edge lets nobody else call itself so.

        Raises:
            CannotTell: a higher role hangs on something that can't be asked now.
        """
        if actor == "local":
            return Role.ADMIN
        if actor.startswith("api:"):
            return self._known.tokens.get(actor)
        asked: Asked | None = {} if fresh else None
        order = tuple(reversed(Role))
        found = await asyncio.gather(
            *(
                self.among(actor, self._known.roles.get(role, ()), fresh=fresh, asked=asked)
                for role in order
            ),
            return_exceptions=True,
        )
        for role, holds in zip(order, found, strict=True):
            if isinstance(holds, BaseException):
                raise holds
            if holds:
                return role
        return None

    async def groups_of(self, actor: str) -> tuple[str, ...]:
        """Return the groups that an actor is in, for showing; what can't be told is left out."""
        found = []
        for name in self._known.groups:
            try:
                if await self.among(actor, (name,), fresh=False):
                    found.append(name)
            except CannotTell:
                continue
        return tuple(found)

    def _could_hold(self, name: str, person: str, actor: str) -> bool:
        """Whether a name has to be asked for elsewhere, and could come to hold this person."""
        prefix = name.partition(":")[0]
        if prefix not in self._rosters:
            return False
        if prefix != "slack-group":
            return True
        # Slack knows its own users alone: its outage is no reason to refuse anybody else.
        behind = (actor, *self._known.people.get(person, ()))
        return any(identity.startswith("slack:") for identity in behind)

    async def _roster(self, name: str, *, fresh: bool, asked: "Asked | None") -> frozenset[str]:
        if asked is not None:
            # Two that ask at the same time wait for the same answer.
            if name not in asked:
                asked[name] = asyncio.ensure_future(self._ask(name))
            return await asked[name]
        remembered = self._seen.get(name)
        if remembered and not fresh and self._clock.now() - remembered[0] < ROSTER_AGE:
            return remembered[1]
        return await self._ask(name)

    async def _ask(self, name: str) -> frozenset[str]:
        now = self._clock.now()
        prefix, _, there = name.partition(":")
        try:
            async with asyncio.timeout(ROSTER_TIMEOUT_S):
                found = await self._rosters[prefix].members(there, now)
        except Exception as error:  # whatever it is, it lets nobody in
            metrics.ROSTERS.labels(kind=prefix, result="failed").inc()
            why = str(error) or f"no answer within {ROSTER_TIMEOUT_S:g}s"
            log.warning("a roster can't be asked", name=name, error=why)
            raise CannotTell(f"who is in {name} can't be found out now: {why}") from None
        metrics.ROSTERS.labels(kind=prefix, result="asked").inc()
        self._seen[name] = (now, found)
        return found
