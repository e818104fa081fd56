"""Proves `actions`, `schema`, `config` and `rbac`: they agree with the code and with each other."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from remediator.plugin import registry
from remediator.runbook import store
from tests.cli.commands import ROOT, Box, remediator

NAMES = sorted(registry.load().operations)


def _yaml(text: str) -> list[Any]:
    return [value for value in YAML(typ="safe", pure=True).load_all(text) if value is not None]


def test_actions_lists_all() -> None:
    shown = remediator("actions")
    assert shown.returncode == 0
    head, *rows = shown.stdout.splitlines()
    assert head.split() == ["NAME", "DOES", "SUMMARY"]
    assert [row.split()[0] for row in rows] == NAMES
    told = json.loads(remediator("actions", "-o", "json").stdout)["items"]
    assert [one["name"] for one in told] == NAMES


@pytest.mark.parametrize("name", ["exec", "http.check", "kubernetes.scale"])
def test_one_action(name: str) -> None:
    shown = remediator("actions", name).stdout
    told = json.loads(remediator("actions", name, "-o", "json").stdout)
    assert shown.startswith(f"{name}  {told['kind']}\n{told['summary']}\n")
    for parameter in told["parameters"]["properties"]:
        assert f"\n{parameter} " in shown
    assert f"  action: {name}\n  with:\n" in shown


def test_no_such_action() -> None:
    refused = remediator("actions", "kubernetes.scal")
    assert refused.returncode == 1
    assert refused.stderr == (
        "remediator: there is no action 'kubernetes.scal'; did you mean kubernetes.scale?\n"
    )


def test_the_schema_takes_what_we_ship() -> None:
    schema = json.loads(remediator("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    files = list(store.files([ROOT / "runbooks"]))
    assert len(files) > 5
    for file in files:
        for document in _yaml(file.read_text(encoding="utf-8")):
            validator.validate(document)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"name": "x", "mood": "approve"})


def test_the_settings_schema() -> None:
    schema = json.loads(remediator("schema", "--config").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    (shipped,) = _yaml((ROOT / "config" / "remediator.yaml").read_text(encoding="utf-8"))
    validator.validate(shipped)
    validator.validate({"api": {"tokens": [{"name": "a", "token_file": "/run/secrets/a"}]}})
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({"api": {"tokens": [{"name": "a", "tokn_file": "/run/secrets/a"}]}})


def test_config_shows_no_secret(tmp_path: Path) -> None:
    secret = "xoxb-this-must-not-be-seen"
    file = tmp_path / "secret"
    file.write_text(secret, encoding="utf-8")
    config = tmp_path / "c.yaml"
    config.write_text(
        f"listen: 127.0.0.1:1\nslack: {{bot_token_file: {file}}}\n"
        f"api: {{tokens: [{{name: a, token: {secret}}}]}}\n",
        encoding="utf-8",
    )
    env = {"REMEDIATOR_PAGERDUTY__ROUTING_KEY": secret, "REMEDIATOR_LISTEN": "127.0.0.1:2"}
    shown = remediator("config", "--config", str(config), env=env)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"# {config}\nlisten: 127.0.0.1:2\n")
    as_json = remediator("config", "--config", str(config), "-o", "json", env=env).stdout
    told = json.loads(as_json)
    for text in (shown.stdout, as_json):
        assert secret not in text
    assert _yaml(shown.stdout) == [told]
    assert told["slack"]["bot_token"] == told["pagerduty"]["routing_key"] == "**********"
    assert told["policy"]["cooldown"] == "5m"


RUNBOOK = """\
name: {name}
description: Scale.
match: ['alertname="{name}"']
steps:
  - id: scale
    action: kubernetes.scale
    with: {{namespace: {namespace}, deployment: api, by: "+1", max: 9, hpa: refuse}}
verify: {{resolved_within: 5m}}
"""


def test_rbac_is_as_narrow_as_the_runbooks(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(RUNBOOK.format(name="a", namespace="shop"), encoding="utf-8")
    only = remediator("rbac", str(tmp_path))
    assert only.returncode == 0, only.stderr
    (role,) = _yaml(only.stdout)
    assert role["kind"] == "Role"
    assert role["metadata"] == {"name": "remediator", "namespace": "shop"}
    rights = {(r, v) for rule in role["rules"] for r in rule["resources"] for v in rule["verbs"]}
    assert rights == {
        ("deployments", "get"),
        ("deployments/scale", "patch"),
        ("horizontalpodautoscalers", "list"),
    }
    templated = RUNBOOK.format(name="b", namespace='"${{ labels.namespace }}"')
    (tmp_path / "b.yaml").write_text(templated, encoding="utf-8")
    (role,) = _yaml(remediator("rbac", str(tmp_path), "--name", "r").stdout)
    assert role["kind"] == "ClusterRole", "what the whole cluster allows needs no Role beside it"
    assert role["metadata"] == {"name": "r"}


def test_rbac_names_programs(fresh: Box) -> None:
    shown = remediator("rbac", "--config", fresh.config)
    assert shown.stdout == f"# host: {fresh.folder}/switch\n"
