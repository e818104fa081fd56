"""How many replicas and databases a load needs: a simulation with costs that were measured.

`python -m benchmarks.fleet --calibrate` measures, on a real PostgreSQL, what a notification and an
alert cost a replica, and what a batch holds the database for; it writes them to
`benchmarks/results/fleet-costs.json`. `python -m benchmarks.fleet --alerts-per-minute 1000000`
plays a fleet with them: notifications come at random (Poisson), a balancer hands each to the
replica with the fewest in hand, a replica spends processor time on one after the other, and commits
what has gathered, one batch at a time; replicas that share a database wait for each other at the
head of its audit chain. It adds replicas and databases until the 99th percentile of the answers is
under the limit, and says what is busiest. No sleeping, no servers, the same seed each time.

What it leaves out: the network's own time, checkpoints, the pauses of other tenants. So the plan
wants room: it must hold under 1.4 times the load. A chain looks busy long before it is: while
batches are small each is committed at once, and they grow with what waits.
"""

import argparse
import heapq
import json
import random
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.measure import quantile

COSTS = Path(__file__).parent / "results" / "fleet-costs.json"
_SEED = 7
# Long enough for queues that grow to show.
_PLAYED_S = 4.0
_ANSWER_WITHIN_S = 0.5
_ROOM = 1.4
_FULL = 0.95
# `journal.batch`: what one transaction takes.
_MAX_BATCH = 512
_MAX_BATCH_ALERTS = 2_000


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds, on the machine that measured them.

    Args:
        notification_s, alert_s: of a replica's processor, HTTP and parsing included.
        batch_s, batch_notification_s, batch_alert_s: of a batch before it reaches the chain.
        chain_s, chain_record_s: from there to its commit: how long others wait for the head.
    """

    notification_s: float
    alert_s: float
    batch_s: float
    batch_notification_s: float
    batch_alert_s: float
    chain_s: float
    chain_record_s: float

    def before_chain_s(self, notifications: int, alerts: int) -> float:
        """What a batch takes by itself."""
        own = self.batch_notification_s * notifications + self.batch_alert_s * alerts
        return self.batch_s + own

    def in_chain_s(self, records: int) -> float:
        """What a batch takes while all others wait."""
        return self.chain_s + self.chain_record_s * records


@dataclass(frozen=True, slots=True)
class Load:
    """What comes in: so many alerts a minute, in bodies of so many."""

    alerts_per_minute: float
    alerts_a_body: int

    @property
    def bodies_a_s(self) -> float:
        """Notifications a second."""
        return self.alerts_per_minute / 60 / self.alerts_a_body


@dataclass(slots=True)
class _Replica:
    database: int
    in_hand: int = 0
    parsing: deque[float] = field(default_factory=deque)
    parses: bool = False
    gathered: deque[float] = field(default_factory=deque)
    commits: bool = False
    busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a fleet under a load."""

    replicas: int
    databases: int
    p50_s: float
    p99_s: float
    replica_busy: float
    chain_busy: float
    answered: float
    """Of what came in the time played."""

    @property
    def holds(self) -> bool:
        """Whether it answers in time."""
        return self.answered > 0.99 and self.p99_s <= _ANSWER_WITHIN_S

    @property
    def saturates(self) -> str:
        """What is busiest."""
        if self.replica_busy > _FULL:
            return "processors"
        # A replica has one batch in hand at a time, however idle the chain is.
        return "chains" if self.chain_busy > _FULL else "writers"


class _Fleet:
    """Plays events in the order of their times."""

    def __init__(self, costs: Costs, load: Load, replicas: int, databases: int) -> None:
        self._costs = costs
        self._load = load
        self._replicas = [_Replica(n % databases) for n in range(replicas)]
        self._chain_free_at = [0.0] * databases
        self._chain_busy_s = [0.0] * databases
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = 0
        self._answers: list[float] = []
        self._came = 0
        self._chance = random.Random(_SEED)  # noqa: S311 - the same each time

    def play(self) -> Played:
        """Play the time, and what is left in hand for as long again."""
        self._at(0.0, self._arrive)
        while self._events:
            at, _, event = heapq.heappop(self._events)
            if at > 2 * _PLAYED_S:
                break
            event(at)
        waits = sorted(self._answers) or [float("inf")]
        return Played(
            replicas=len(self._replicas),
            databases=len(self._chain_free_at),
            p50_s=quantile(waits, 0.5),
            p99_s=quantile(waits, 0.99),
            replica_busy=max(r.busy_s for r in self._replicas) / _PLAYED_S,
            chain_busy=max(self._chain_busy_s) / _PLAYED_S,
            answered=len(self._answers) / max(1, self._came),
        )

    def _at(self, when: float, event: Callable[[float], None]) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, event))

    def _arrive(self, now: float) -> None:
        if now > _PLAYED_S:
            return
        self._came += 1
        replica = min(self._replicas, key=lambda one: one.in_hand)
        replica.in_hand += 1
        replica.parsing.append(now)
        self._parse(replica, now)
        self._at(now + self._chance.expovariate(self._load.bodies_a_s), self._arrive)

    def _parse(self, replica: _Replica, now: float) -> None:
        if replica.parses or not replica.parsing:
            return
        replica.parses = True
        came_at = replica.parsing.popleft()
        cost = self._costs.notification_s + self._costs.alert_s * self._load.alerts_a_body
        replica.busy_s += cost

        def parsed(at: float) -> None:
            replica.parses = False
            replica.gathered.append(came_at)
            self._commit(replica, at)
            self._parse(replica, at)

        self._at(now + cost, parsed)

    def _commit(self, replica: _Replica, now: float) -> None:
        if replica.commits or not replica.gathered:
            return
        replica.commits = True
        most = max(1, min(_MAX_BATCH, _MAX_BATCH_ALERTS // self._load.alerts_a_body))
        batch = [replica.gathered.popleft() for _ in range(min(most, len(replica.gathered)))]
        alerts = len(batch) * self._load.alerts_a_body
        ready_at = now + self._costs.before_chain_s(len(batch), alerts)

        def at_chain(at: float) -> None:
            held = self._costs.in_chain_s(len(batch) + alerts)
            begins = max(at, self._chain_free_at[replica.database])
            self._chain_free_at[replica.database] = begins + held
            self._chain_busy_s[replica.database] += held
            self._at(begins + held, committed)

        def committed(at: float) -> None:
            replica.commits = False
            replica.in_hand -= len(batch)
            self._answers.extend(at - came_at for came_at in batch)
            self._commit(replica, at)

        self._at(ready_at, at_chain)


def play(costs: Costs, load: Load, replicas: int, databases: int) -> Played:
    """Play one fleet."""
    return _Fleet(costs, load, replicas, databases).play()


def plan(costs: Costs, load: Load, *, most: int = 60) -> list[Played]:
    """Add what is busiest until it holds; every fleet that was played, the last one is the plan."""
    with_room = Load(load.alerts_per_minute * _ROOM, load.alerts_a_body)
    per_body = costs.notification_s + costs.alert_s * load.alerts_a_body
    replicas = max(1, int(with_room.bodies_a_s * per_body))
    databases = 1
    played: list[Played] = []
    while len(played) < most:
        now = play(costs, with_room, replicas, databases)
        played.append(now)
        if now.holds:
            break
        if now.saturates == "chains":
            databases += 1
            replicas = -(-replicas // databases) * databases  # as many on each
        else:
            replicas += databases
    return played


# ------------------------------------------------------------------------------ costs


def _read(path: Path) -> Costs:
    return Costs(**json.loads(path.read_text()))


def _line(usual: Played, with_room: Played) -> str:
    return (
        f"| {usual.replicas} | {usual.databases} | {usual.p50_s * 1000:.0f} ms"
        f" | {usual.p99_s * 1000:.0f} ms | {usual.replica_busy:.0%} | {usual.chain_busy:.0%}"
        f" | {'yes' if with_room.holds else 'no: ' + with_room.saturates} |"
    )


def _table(costs: Costs, load: Load, played: Sequence[Played]) -> str:
    lines = [
        f"| replicas | databases | p50 | p99 | processors | chains | holds {_ROOM} × this |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in played:
        usual = play(costs, load, one.replicas, one.databases)
        lines.append(_line(usual, one))
    head = f"{load.alerts_per_minute:,.0f} alerts a minute, {load.alerts_a_body} in a body"
    return "\n".join([f"**{head}**", "", *lines])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--calibrate", action="store_true", help="measure the costs first")
    parser.add_argument("--costs", type=Path, default=COSTS)
    parser.add_argument("--alerts-per-minute", type=float, default=1_000_000)
    parser.add_argument("--alerts-a-body", type=int, action="append", help="repeatable")
    given = parser.parse_args()
    if given.calibrate:
        from benchmarks import calibration, postgres  # noqa: PLC0415 - to play needs no server

        with postgres.database() as url, tempfile.TemporaryDirectory() as folder:
            costs = calibration.measure(url, Path(folder), rounds=7)
        given.costs.parent.mkdir(parents=True, exist_ok=True)
        given.costs.write_text(json.dumps(asdict(costs), indent=2) + "\n")
    costs = _read(given.costs)
    for name, value in asdict(costs).items():
        print(f"{name:22} {value * 1e6:10.1f} µs")
    for alerts in given.alerts_a_body or (1, 10, 100):
        load = Load(given.alerts_per_minute, alerts)
        print()
        print(_table(costs, load, plan(costs, load)))


if __name__ == "__main__":
    main()
