"""What the documents show is true: examples load and run, names exist, links lead somewhere."""

import json
import re
import runpy
import shlex
import subprocess
from pathlib import Path

import click
import jsonschema
import pytest
from ruamel.yaml import YAML

from remediator import cli, settings
from remediator.observe import metrics
from remediator.plugin import registry as plugins
from remediator.rehearsal import schema as rehearsal_schema
from remediator.runbook import policy_file
from remediator.runbook.compile import compile_runbook
from remediator.runbook.json_schema import json_schema
from tests.servers import binaries

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
REGISTRY = plugins.load(third_party=False)


def blocks(page: Path, language: str) -> list[str]:
    if page.name == "findings.md" and language == "yaml":
        return []  # these are wrong on purpose; test_findings_page.py runs them
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


RUNBOOKS = [
    (page, number, text)
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"))
    if re.search(r"^steps:", text, re.MULTILINE)
]


@pytest.mark.parametrize(
    ("page", "number", "text"), RUNBOOKS, ids=[f"{p.name}-{n}" for p, n, _ in RUNBOOKS]
)
def test_every_runbook_in_the_documents_loads(page: Path, number: int, text: str) -> None:
    assert compile_runbook(text, f"{page.name}#{number}", REGISTRY).steps


def test_there_are_runbooks_in_the_documents() -> None:
    assert len(RUNBOOKS) >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r"`((?:remediator/)?[a-z_]+/[a-z_/]+\.py)`", text):
        inside = [ROOT / name, ROOT / "remediator" / name]
        assert any(path.exists() for path in inside), f"{page.name} names {name}"


def test_every_fault_that_is_tested_is_told() -> None:
    told = (ROOT / "docs/faults.md").read_text()
    for suite in sorted(ROOT.glob("tests/faults/test_*.py")):
        assert f"`tests/faults/{suite.name}`" in told


def _metric_names() -> set[str]:
    collected = list(metrics.REGISTRY.collect())
    names = {metric.name for metric in collected}
    names |= {sample.name for metric in collected for sample in metric.samples}
    return names | {f"{name}_total" for name in names}


def test_every_metric_that_is_named_exists() -> None:
    for page in PAGES:
        for name in re.findall(r"\bremediator_[a-z_]+\b", page.read_text()):
            assert name in _metric_names(), f"{page.name} names {name}"


def test_every_action_and_probe_is_in_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    for name in REGISTRY.operations:
        assert f"`{name}`" in text


def test_the_settings_page_is_what_the_code_says() -> None:
    made = runpy.run_path(str(ROOT / "docs/pages.py"))["settings_page"]()
    assert (ROOT / "docs/settings.md").read_text() == made, "run: python docs/pages.py"


def test_the_schema_beside_the_settings_is_what_the_code_says() -> None:
    committed = json.loads((ROOT / "config/runbook.schema.json").read_text())
    assert committed == json_schema(REGISTRY), "run: remediator schema > config/runbook.schema.json"


@pytest.mark.parametrize("path", sorted(ROOT.glob("runbooks/**/*.yaml")), ids=lambda f: f.name)
def test_shipped_runbooks_and_tests_are_valid_by_their_schemas(path: Path) -> None:
    name = "test" if path.name.endswith(".test.yaml") else "runbook"
    schema = json.loads((ROOT / f"config/{name}.schema.json").read_text())
    value = YAML(typ="safe", pure=True).load(path.read_text())
    jsonschema.Draft202012Validator(schema).validate(value)
    assert re.match(
        rf"# yaml-language-server: \$schema=(\.\./)+config/{name}\.schema\.json\n", path.read_text()
    )


def test_the_schema_of_the_policy_is_what_the_code_says() -> None:
    committed = json.loads((ROOT / "config/policy.schema.json").read_text())
    assert committed == policy_file.json_schema(), (
        "run: remediator schema --policy > config/policy.schema.json"
    )


def test_the_schema_of_runbook_tests_is_what_the_code_says() -> None:
    committed = json.loads((ROOT / "config/test.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(committed)
    assert committed == rehearsal_schema.json_schema(), (
        "run: remediator schema --test > config/test.schema.json"
    )


def test_the_shipped_policy_is_good_and_valid_by_its_schema() -> None:
    path = ROOT / "config/policy.yaml"
    schema = json.loads((ROOT / "config/policy.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(YAML(typ="safe", pure=True).load(path))
    assert path.read_text().startswith("# yaml-language-server: $schema=policy.schema.json\n")
    shipped = policy_file.load(path).policy
    assert shipped.mode == "approve"
    assert shipped.override.people == ()
    # What is commented out is meant to be used: it must be right as well.
    text = path.read_text().replace("rules: []\n#", "rules:\n#").replace("\n#  ", "\n  ")
    assert [rule.name for rule in policy_file.parse(text, "policy.yaml").rules] == ["payments"]


def test_the_shipped_settings_are_good() -> None:
    assert settings.load(ROOT / "config/remediator.yaml").policy_file == Path("config/policy.yaml")


def test_the_alerts_on_remediator_itself_are_good() -> None:
    rules = ROOT / "deploy/prometheus/remediator-rules.yaml"
    checked = subprocess.run(
        [binaries.find("promtool"), "check", "rules", rules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    for name in re.findall(r"\bremediator_[a-z_]+\b", rules.read_text()):
        assert name in _metric_names()


def _commands() -> list[tuple[str, str]]:
    """Every `$ …` line of a console block that calls remediator, with its page."""
    return [
        (page.name, line.split(" #")[0].strip())
        for page in PAGES
        if page.name != "tutorial.md"  # on files of its own; test_tutorial.py runs it
        for block in blocks(page, "console")
        for line in re.findall(r"^\$ (?:\S*/)?remediator (.*)$", block, re.MULTILINE)
    ]


@pytest.mark.parametrize(("page", "line"), _commands(), ids=lambda value: value)
def test_every_command_in_the_documents_is_one(page: str, line: str) -> None:
    """Its name and options exist and its arguments parse; the commands' own tests run them."""
    words = shlex.split(line)
    group: click.Command = cli.main
    context = click.Context(group)
    while isinstance(group, click.Group) and words and not words[0].startswith("-"):
        found = group.get_command(context, words[0])
        if found is None:
            break
        group, words = found, words[1:]
    assert group is not cli.main, f"{page}: there is no command in {line!r}"
    with group.make_context(group.name, words, parent=context) as parsed:
        assert parsed.params is not None


_SECTIONS = {
    *("senders", "policy", "slack", "groups", "pagerduty", "opsgenie", "teams", "email"),
    *("webhooks", "apprise", "grafana", "escalate_to", "resources"),
}
SETTINGS = [
    (page, number, text)
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"))
    if set(next(YAML(typ="safe", pure=True).load_all(text), None) or {}) & _SECTIONS
]


@pytest.mark.parametrize(
    ("page", "number", "text"), SETTINGS, ids=[f"{p.name}-{n}" for p, n, _ in SETTINGS]
)
def test_settings_in_the_documents_are_good(
    page: Path, number: int, text: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("whsec_czNjcmV0LW9mLWEtdGVzdC10aGF0LWlzLWxvbmc=")
    file = tmp_path / "remediator.yaml"
    file.write_text(re.sub(r"/run/secrets/[\w-]+", str(secret), text))
    assert settings.load(file).listen, f"{page.name}#{number}"


def test_there_are_settings_and_commands_in_the_documents() -> None:
    assert len(SETTINGS) >= 1
    assert len(_commands()) >= 8
