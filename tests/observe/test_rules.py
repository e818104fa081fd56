"""Proves that the shipped alerts fire when they should, the first time too: promtool plays them."""

import subprocess
from pathlib import Path

import pytest

from tests.servers import binaries

_RULES = Path(__file__).parents[2] / "deploy/prometheus/remediator-rules.yaml"


@pytest.mark.servers
def test_the_shipped_alerts_fire_when_they_should(tmp_path: Path) -> None:
    played = tmp_path / "rules_test.yaml"
    text = Path(__file__).with_name("rules_test.yaml").read_text()
    played.write_text(text.replace("[RULES]", f"[{_RULES}]"))
    ran = subprocess.run(
        [binaries.find("promtool"), "test", "rules", played],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
