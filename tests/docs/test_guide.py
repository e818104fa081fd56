"""Proves that the action of docs/writing-an-action.md keeps the contract of actions."""

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from remediator.model.canonical import JSON
from remediator.plugin.action import Action
from tests.actions.contract import ActionContract, Bench, Case, params_of

GUIDE = Path(__file__).resolve().parents[2] / "docs/writing-an-action.md"


@pytest.fixture
def write(monkeypatch: pytest.MonkeyPatch) -> Action[Any]:
    """The guide's action, loaded as a module of that text."""
    source = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    module = ModuleType("example_of_the_guide")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(source[0], str(GUIDE), "exec"), module.__dict__)  # noqa: S102 - our own document
    action: Action[Any] = module.__dict__["Write"]()
    return action


class TestTheGuidesAction(ActionContract):
    @pytest.fixture(params=["there", "not-there"])
    def case(self, request: pytest.FixtureRequest, write: Action[Any], tmp_path: Path) -> Case:
        file = tmp_path / "motd"
        if request.param == "there":
            file.write_text("old")

        def state() -> JSON:
            return file.read_text() if file.exists() else None

        def trace() -> JSON:
            return [state(), file.stat().st_mtime_ns if file.exists() else 0]

        return Case(
            action=write,
            params={"path": str(file), "text": "new"},
            bench=Bench(),
            state=state,
            trace=trace,
            meddle=lambda: _write(file, "somebody else's"),
        )


async def test_where_there_is_nothing_to_do_nothing_is_done(
    write: Action[Any], tmp_path: Path
) -> None:
    file = tmp_path / "motd"
    file.write_text("new")
    plan = await write.plan(params_of(write, {"path": str(file), "text": "new"}), Bench())
    assert plan.empty
    assert not (await write.apply(plan, Bench())).changed


def _write(file: Path, text: str) -> None:
    file.write_text(text)
