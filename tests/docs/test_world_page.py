"""What docs/runbook-tests.md says of series, answers and commands is so."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from remediator.clients.errors import Unavailable
from remediator.simulated.commands import Commands
from remediator.simulated.http import Web
from remediator.simulated.prometheus import Prometheus, notation
from remediator.simulated.prometheus.evaluating import Rules
from remediator.simulated.prometheus.model import PrometheusSpec
from remediator.simulated.prometheus.vectors import Unsupported
from remediator.simulated.spec import WorldSpec
from remediator.testing.clock import ManualClock
from tests.simulated.stage import passing

PAGE = (Path(__file__).resolve().parents[2] / "docs/runbook-tests.md").read_text()
SERIES, ANSWERS = (
    WorldSpec.model_validate(YAML(typ="safe", pure=True).load(text))
    for text in re.findall(r"^```yaml world\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)


def test_the_notation_means_what_the_table_says() -> None:
    assert len(notation.parse_values("0x20")) == 21
    assert notation.parse_values("0+10x3 5-1x2") == [0, 10, 20, 30, 5, 4, 3]
    assert notation.parse_values("_x5") == [None] * 5


def test_the_example_of_series_can_be_asked() -> None:
    clock = ManualClock()
    assert SERIES.prometheus is not None
    made = Prometheus(SERIES.prometheus, clock)
    clock.advance(timedelta(minutes=6))
    assert made.evaluate('up{job="api"} == 0')[0]
    assert made.evaluate("rate(http_requests_total[5m]) * 60")[0]


@pytest.mark.parametrize(("generation", "count"), [(3, 5.0), (2, 6.0)])
def test_the_two_generations_count_as_the_page_says(generation: int, count: float) -> None:
    clock = ManualClock()
    given = {"series": [{"series": "up", "values": "1x60"}]}
    rules = Rules(generation=2) if generation == 2 else Rules()
    made = Prometheus(PrometheusSpec.model_validate(given), clock, rules)
    clock.advance(timedelta(minutes=30))
    result, _ = made.evaluate("scalar(count_over_time(up[5m]))")
    assert result == count


@pytest.mark.parametrize("name", ["histogram_avg(up)", "info(up)", "limitk(1, up)"])
def test_what_is_not_simulated_says_so(name: str) -> None:
    made = Prometheus(PrometheusSpec(), ManualClock())
    function = name.partition("(")[0]
    with pytest.raises(Unsupported, match=rf"{function}.* is not simulated \(line 1, column 5\)"):
        made.evaluate(f"1 + {name}")


async def test_the_example_of_answers_and_commands_works() -> None:
    clock = ManualClock()
    web = Web(ANSWERS.http, clock)
    commands = Commands(ANSWERS.exec, clock, web)

    async def get(path: str) -> int:
        url = f"http://api.shop{path}"
        return (await passing(clock, web.request("GET", url, timeout_s=5, max_bytes=100))).status

    async def run(*command: str) -> int | None:
        work = commands.run(command, environment={}, cwd="/", timeout_s=60)
        return (await passing(clock, work)).exit_code

    assert await get("/healthz") == 503
    with pytest.raises(Unavailable, match="no answer within 5s"):
        await get("/healthz")
    assert [await get("/healthz"), await get("/healthz"), await get("/v1/x")] == [200, 200, 200]
    assert await run("/bin/cache-ctl", "is-empty") == 1
    assert await run("/bin/cache-ctl", "flush", "--zone", "shop") == 0
    assert await run("/bin/cache-ctl", "is-empty") == 0
