"""New identities: 26 characters that sort by time, lower case, easy to type.

The layout is ULID's (https://github.com/ulid/spec): 48 bits of milliseconds and 80 random bits in
Crockford's base 32. Within one process they only grow, so that lists by id are lists by time.
"""

import secrets
from datetime import UTC, datetime

from remediator.model.clock import Clock

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 26

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Two characters at once: 13 look-ups for an id, which counts when a body opens 20,000 incidents.
_PAIRS = tuple(a + b for a in ALPHABET for b in ALPHABET)
_SHIFTS = tuple(range(120, -1, -10))
_RANDOM_BITS = 80
_NOISE_BYTES = 2048


class Ids:
    """Makes ids; used by one thread at a time (the writer)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._noise = memoryview(b"")

    def new(self) -> str:
        """Return an id that is greater than all before it."""
        elapsed = self._clock.now() - _EPOCH
        now_ms = elapsed.days * 86_400_000 + elapsed.seconds * 1000 + elapsed.microseconds // 1000
        if now_ms > self._last >> _RANDOM_BITS:
            self._last = (now_ms << _RANDOM_BITS) | self._random(_RANDOM_BITS // 8)
        else:
            # The same millisecond, or a clock that went back: grow by a random amount, so that
            # the ends, which people type, still differ at a glance.
            self._last += 1 + self._random(5)
        value = self._last
        return "".join([_PAIRS[(value >> shift) & 1023] for shift in _SHIFTS])

    def _random(self, count: int) -> int:
        """Return so many random bytes as a number; the system is asked for many at once."""
        if len(self._noise) < count:
            self._noise = memoryview(secrets.token_bytes(_NOISE_BYTES))
        taken, self._noise = self._noise[:count], self._noise[count:]
        return int.from_bytes(taken, "big")


def least(at: datetime) -> str:
    """Return the smallest id that is made at this time or later."""
    value = max(0, int((at - _EPOCH).total_seconds() * 1000)) << _RANDOM_BITS
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in _SHIFTS])


def approval_id() -> str:
    """Return an id that nobody can guess: it is all that a button carries."""
    return secrets.token_urlsafe(16)
