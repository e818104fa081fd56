"""Every code that a finding may have is told of, and each example on the page triggers its code."""

import ast
import re
from pathlib import Path

import pytest

from remediator.cli import checking
from remediator.plugin import registry as plugins
from remediator.runbook.findings import Finding
from remediator.runbook.lint import catalogue

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = plugins.load(third_party=False)
CODES = catalogue.codes()
FENCE = re.compile(
    r"^```yaml(?: (?P<name>\S+))?(?P<whole> whole)?\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL
)
# No text in a file shows these; tests/cli/test_check.py does.
ELSEWHERE = {"missing", "unreadable", "nothing-to-check", "too-many"}
# What can't be without the other.
BESIDE = {"cyclic-use": "unused-fragment", "rung-without-verify": "no-verify"}
GOOD = {
    "name": "name: example",
    "description": "description: An example.",
    "match": "match: ['alertname=\"Example\"']",
    "steps": "steps: [{id: restart, action: kubernetes.rollout_restart, "
    "with: {namespace: shop, deployment: api}}]",
    "verify": "verify: {resolved_within: 10m}",
}


def examples(code: str) -> list[tuple[str, str]]:
    """Return the files of a code's example: name and text."""
    return [
        (one["name"] or "", one["text"] if one["whole"] else completed(one["name"], one["text"]))
        for one in FENCE.finditer(CODES[code].text)
    ]


def completed(name: str | None, part: str) -> str:
    """Return a runbook, of which the part leaves out what is good; other files are whole."""
    if name not in (None, "schema", "other.yaml"):
        return part
    given = {line.partition(":")[0] for line in part.splitlines() if re.match(r"\w+:", line)}
    if re.search(r"^(descripton|verify: null)", part, re.MULTILINE):
        part = part.replace("verify: null\n", "")
    missing = [line for key, line in GOOD.items() if key not in given]
    return "\n".join([*missing, part])


def found(folder: Path, code: str) -> list[Finding]:
    """Write the example into a folder, and check it there."""
    paths: list[Path] = []
    configs: list[Path] = []
    rules: list[Path] = []
    (folder / "runbooks").mkdir()
    for name, text in examples(code):
        file = Path(name or "example.yaml")
        if name in ("", "schema", "whole", "other.yaml", "example.test.yaml", "world.yaml"):
            file = "runbooks" / (file if file.suffix else Path("example.yaml"))
        if name == "schema":
            (folder / "config").mkdir()
            (folder / "config/runbook.schema.json").write_text("{}")
        (folder / file).write_text(text, encoding="utf-8")
        if name in ("settings.yaml", "rules.yaml"):
            (configs if name == "settings.yaml" else rules).append(file)
        elif name not in ("oncall.yaml", "world.yaml"):
            paths.append(file)
    return list(checking.check(checking.Wanted(paths, configs, rules), REGISTRY).findings)


@pytest.mark.parametrize("code", [code for code in CODES if code not in ELSEWHERE])
def test_each_example_triggers_its_code(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert examples(code), f"{code} has no example"
    said = found(tmp_path, code)
    own = [finding for finding in said if finding.code == code]
    assert own, f"{code} is not among {[str(one) for one in said]}"
    assert own[0].severity is CODES[code].severity
    if CODES[code].fixable and code not in ("unknown-key", "unknown-parameter"):
        assert own[0].fix is not None
    others = {finding.code for finding in said} - {code, BESIDE.get(code)}
    assert not others, f"the example of {code} shows {others} as well: {[str(o) for o in said]}"


def test_every_code_says_how_to_mend_it() -> None:
    for code in CODES.values():
        after = code.text.rpartition("```")[2].strip() or code.text
        assert len(after) > 20, f"{code.name} ends with its example"


def _codes_in_the_code() -> set[str]:
    """Return what stands where a code does: in calls that make findings."""
    places = {
        "Finding": 4,
        "finding": 1,
        "fault": 1,
        "_fault": 1,
        "_error": 1,
        "of_step": 2,
        "place": 0,
    }
    shifted = {
        ("document.py", "_error"): 3,
        ("people.py", "_error"): 2,
    }
    found: set[str] = set()
    files = [*ROOT.glob("remediator/runbook/**/*.py"), *ROOT.glob("remediator/cli/check*.py")]
    files += [ROOT / "remediator/rehearsal/files.py", ROOT / "remediator/simulated/files.py"]
    for file in files:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {
            target.id: node.value.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name) and isinstance(node.value.value, str)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            at = shifted.get((file.name, name), places.get(name))
            starred = next((n for n, a in enumerate(node.args) if isinstance(a, ast.Starred)), 99)
            if at is None or (starred > at >= len(node.args)):
                continue
            # Line and column as one value: the code is the first text behind the severity.
            given = node.args[at if starred > at else starred + 2]
            text = names.get(getattr(given, "id", ""))
            if isinstance(given, ast.Constant):
                text = str(given.value)
            if isinstance(text, str) and re.fullmatch(r"[a-z]+(-[a-z]+)*", text):
                found.add(text)
    return found


def test_every_code_is_told_of_and_no_other() -> None:
    used = _codes_in_the_code()
    assert len(used) > 40
    assert used - CODES.keys() == set(), "write a heading in remediator/runbook/lint/pages/"
    assert CODES.keys() - used == set()


def test_the_page_is_made_from_the_pages_of_the_linter() -> None:
    assert (ROOT / "docs/findings.md").read_text() == catalogue.page(), "run: python docs/pages.py"
