"""Faults are told on the line that holds them, whichever key it is; a runbook with any part
replaced loads or is refused by name; what is kept with a run compiles again the same."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.plugin import registry as plugins
from remediator.runbook import document, store
from remediator.runbook.compile import compile_file, compile_runbook
from remediator.runbook.findings import RunbookErrors
from remediator.runbook.runbook import Runbook

REGISTRY = plugins.load(third_party=False)

WHOLE = """\
name: whole
description: Every key once.
owner: team
docs: words
links:
  wiki: http://wiki.example.org
match:
  - alertname="X", severity=~"a|b"
if: labels.namespace == "shop"
when: firing
per: alert
wait_for: 2m
mode: approve
approval:
  approvers: [sre]
  quorum: 1
  timeout: 30m
guardrails:
  cooldown: 15m
  rate: [3/1h]
  max_impact:
    pods: 10
    share: 50%
vars:
  deployment: ${{ labels.deployment }}
steps:
  - id: look
    action: http.check
    with:
      url: http://${{ labels.host }}/healthz
      timeout: 3s
  - id: scale
    if: steps.look.ok
    action: kubernetes.scale
    with:
      namespace: shop
      deployment: ${{ vars.deployment }}
      by: +50%
      max: 20
    timeout: 5m
    retry:
      attempts: 3
      backoff: 10s
verify:
  action: http.check
  with:
    url: http://example.org
  within: 5m
  every: 10s
on_failure:
  undo: true
  escalate: [pagerduty]
"""
LINES = WHOLE.splitlines()
# Names that the author chooses; another one is no fault.
CHOSEN = ("wiki", "deployment: ${{ labels")
KEYED = [
    number
    for number, line in enumerate(LINES)
    if ":" in line.split(" #")[0]
    and not line.strip().startswith("- alertname")
    and not line.strip().startswith(CHOSEN)
]


def test_the_whole_runbook_loads() -> None:
    runbook = compile_runbook(WHOLE, "a.yaml", REGISTRY)
    assert [step.id for step in runbook.steps] == ["look", "scale"]
    assert runbook.steps[1].needs == {"look"}
    assert not any(step.is_rung for step in runbook.steps)


@pytest.mark.parametrize("number", KEYED, ids=lambda n: LINES[n].strip().split(":")[0])
def test_a_misspelt_key_is_told_where_it_stands(number: int) -> None:
    line = LINES[number]
    lead = len(line) - len(line.lstrip(" -"))
    wrong = [*LINES]
    wrong[number] = f"{line[:lead]}zz{line[lead:]}"
    with pytest.raises(RunbookErrors) as caught:
        compile_file("\n".join(wrong), "a.yaml", REGISTRY)
    told = [f for f in caught.value.findings if f.code in ("unknown-key", "unknown-parameter")]
    assert [(f.line, f.column) for f in told] == [(number + 1, lead + 1)]
    assert told[0].hint.startswith(f'did you mean "{line[lead:].split(":")[0]}"?')


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside: Any = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    return [path, *(p for key, inner in inside for p in _paths(inner, (*path, key)))]


VALUE = document.parse(WHOLE, "a.yaml")[0].value
PATHS = [path for path in _paths(VALUE) if path]
TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
    st.sampled_from(
        ["${{ labels.a }}", "${{ 1 }}", "${{", "${{ }}", "$${{ a }}", "1d", "50%", "a=b"]
    ),
    st.lists(TEXT, max_size=3),
    st.dictionaries(TEXT, TEXT, max_size=3),
)


def _replaced(path: tuple[str | int, ...], odd: Any) -> Any:
    changed = copy.deepcopy(VALUE)
    inner = changed
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = odd
    return changed


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PATHS), ODD)
def test_a_runbook_with_any_part_replaced_loads_or_is_refused_by_name(
    path: tuple[str | int, ...], odd: Any
) -> None:
    source = json.dumps(_replaced(path, odd), ensure_ascii=False)  # JSON is YAML
    try:
        found = compile_file(source, "a.yaml", REGISTRY)
    except RunbookErrors as error:
        assert error.findings
        for finding in error.findings:
            assert finding.file == "a.yaml"
            assert finding.line >= 1
            assert 1 <= finding.column <= len(source) + 1
            assert finding.message
    else:
        assert len(found) == 1


SHIPPED = store.load_folder([Path("runbooks")], REGISTRY).runbooks


@pytest.mark.parametrize("first", SHIPPED, ids=lambda one: one.name)
def test_what_is_kept_with_a_run_compiles_to_the_same_version(first: Runbook) -> None:
    again = compile_runbook(first.source, first.file, REGISTRY)
    assert again.version == first.version
    assert [step.id for step in again.steps] == [step.id for step in first.steps]
    if not first.uses:
        assert [step.where for step in again.steps] == [step.where for step in first.steps]


@pytest.mark.parametrize(
    "word", ["on", "off", "yes", "no", "y", "n", "1:30", "0777-1", "2026-01-01"]
)
def test_words_that_yaml_1_1_takes_for_something_else_stay_text(word: str) -> None:
    assert document.parse(f"a: {word}", "a.yaml")[0].value == {"a": word}
