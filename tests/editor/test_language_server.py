"""What an author sees in an editor: faults while typing, completions, and words over a key.

Files are never written: the server takes their text, and finds the schema by the modeline.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.editor.language_server import Diagnostic, LanguageServer

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "runbooks" / "being-written.yaml"
TEST = ROOT / "runbooks" / "being-written.test.yaml"
POLICY = ROOT / "config" / "being-written.yaml"

pytestmark = pytest.mark.servers

HEAD = """\
# yaml-language-server: $schema=../config/runbook.schema.json
name: restart-the-api
description: Restart it.
match: ['alertname="Stuck"']
"""
STEP = """\
steps:
  - id: restart
    action: kubernetes.rollout_restart
    with: {namespace: shop, deployment: api}
"""


@pytest.fixture
async def server() -> AsyncIterator[LanguageServer]:
    async with LanguageServer() as started:
        yield started


def said(found: object) -> list[str]:
    """Diagnostics as `line: message`."""
    assert isinstance(found, list)
    return [f"{one.line}: {one.message}" for one in found if isinstance(one, Diagnostic)]


async def test_the_files_that_we_ship_have_no_fault(server: LanguageServer) -> None:
    shipped = [*ROOT.glob("runbooks/**/*.yaml"), ROOT / "config" / "policy.yaml"]
    assert len(shipped) > 20
    faults = {}
    for path in shipped:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# yaml-language-server: $schema="), f"{path}: no modeline"
        faults[path.name] = said(await server.diagnostics(path, text))
    assert {name: found for name, found in faults.items() if found} == {}


WRONG = {
    "a key that does not exist": (
        HEAD + STEP + "verfy: {resolved_within: 5m}\n",
        ["9: Property verfy is not allowed."],
    ),
    "a key that is missing": (
        HEAD.replace("description: Restart it.\n", "") + STEP,
        ['2: Missing property "description".'],
    ),
    "an action that does not exist": (
        HEAD + STEP.replace("rollout_restart", "restart"),
        ["7: Value is not accepted. Valid values: "],
    ),
    "a parameter that the action does not have": (
        HEAD + STEP.replace("deployment: api", "deployment: api, replicas: 3"),
        ["8: Property replicas is not allowed."],
    ),
    "a parameter that is missing": (
        HEAD + STEP.replace("namespace: shop, ", ""),
        ['8: Missing property "namespace".'],
    ),
    "a duration that is none": (
        HEAD + "wait_for: 2 minutes\n" + STEP,
        ["5: String does not match the pattern"],
    ),
    "a mode that is none": (
        HEAD + "mode: automatic\n" + STEP,
        ['5: Value is not accepted. Valid values: "observe", "approve", "auto".'],
    ),
    "a step that is two things": (
        HEAD + STEP + "    use: another\n",
        ["7: Property action is not allowed."],
    ),
    "no YAML": (HEAD + "steps: [\n", ["6: Flow sequence in block collection"]),
}


async def test_faults_are_shown_where_they_are(server: LanguageServer) -> None:
    found = {
        name: said(await server.diagnostics(RUNBOOK.with_stem(name.replace(" ", "-")), text))
        for name, (text, _) in WRONG.items()
    }
    for name, (_, expected) in WRONG.items():
        assert found[name], name
        for wanted in expected:
            assert any(one.startswith(wanted) for one in found[name]), (name, found[name])


async def test_keys_actions_and_parameters_are_proposed(server: LanguageServer) -> None:
    keys = await server.completions(RUNBOOK, HEAD + "|\n")
    assert {"steps", "verify", "wait_for", "guardrails", "parameters", "on_failure"} <= keys.keys()
    assert "name" not in keys
    assert keys["wait_for"] == "Let it clear by itself first."

    actions = await server.completions(RUNBOOK, HEAD + "steps:\n  - id: a\n    action: |\n")
    assert actions["kubernetes.scale"].startswith("Scale a Deployment or StatefulSet")
    assert "prometheus.query" in actions

    parameters = await server.completions(
        RUNBOOK, HEAD + "steps:\n  - id: a\n    action: kubernetes.scale\n    with:\n      |\n"
    )
    assert {"namespace", "deployment", "by", "max", "hpa"} <= parameters.keys()
    assert "query" not in parameters
    values = await server.completions(
        RUNBOOK, HEAD + "steps:\n  - id: a\n    action: kubernetes.scale\n    with: {hpa: |}\n"
    )
    assert {"raise_min", "refuse"} <= values.keys()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "wait_|for: 2m\n" + STEP, "Let it clear by itself first."),
        (HEAD + STEP + "guard|rails: {cooldown: 5m}\n", "Its own limits"),
        (HEAD + STEP.replace("name" + "space", "name|space"), "The namespace."),
        (HEAD + STEP + "verify: {resolved_|within: 5m}\n", "cleared within this time"),
    ],
    ids=["key", "section", "parameter", "inner-key"],
)
async def test_a_key_is_explained(server: LanguageServer, text: str, words: str) -> None:
    assert words in await server.hover(RUNBOOK, text)


async def test_tests_and_policies_are_known_as_well(server: LanguageServer) -> None:
    head = (
        "# yaml-language-server: $schema=../config/test.schema.json\ntests:\n  - name: it helps\n"
    )
    keys = await server.completions(TEST, head + "    |\n")
    assert {"timeline", "expect", "world"} <= keys.keys()
    wrong = await server.diagnostics(TEST, head + "    timeline: []\n    expct: []\n")
    assert any("expct is not allowed" in one for one in said(wrong))

    head = "# yaml-language-server: $schema=policy.schema.json\n"
    keys = await server.completions(POLICY, head + "mode: approve\n|\n")
    assert {"scope", "protected", "rate", "rules"} <= keys.keys()
    assert said(await server.diagnostics(POLICY, head + "mode: never\n"))
