"""Runbooks of a few lines, and what the linter says of them."""

from collections.abc import Sequence
from pathlib import Path

from remediator.plugin import registry as plugins
from remediator.runbook import document
from remediator.runbook.compile import compile_file
from remediator.runbook.findings import Finding
from remediator.runbook.lint import Subject, Surroundings, lint

REGISTRY = plugins.load(third_party=False)
RESTART = (
    "steps: [{id: restart, action: kubernetes.rollout_restart, "
    "with: {namespace: shop, deployment: api}}]\n"
)


def runbook(*lines: str, name: str = "example", steps: str = RESTART) -> str:
    """Return a runbook that is clean but for these lines."""
    given = {line.partition(":")[0] for line in lines}
    rest = {
        "name": f"name: {name}\n",
        "description": "description: An example.\n",
        "match": "match: ['alertname=\"Example\"']\n",
        "steps": steps,
        "verify": "verify: {resolved_within: 10m}\n",
    }
    return "".join(text for key, text in rest.items() if key not in given) + "".join(
        f"{line}\n" for line in lines
    )


def subjects(*sources: str) -> list[Subject]:
    """Return runbooks as the linter sees them, each a file of its own."""
    found = []
    for number, source in enumerate(sources):
        file = f"{number}.yaml"
        docs = {doc.first_line: doc for doc in document.parse(source, file)}
        found += [Subject(one, docs[one.line]) for one in compile_file(source, file, REGISTRY)]
    return found


def said(*sources: str, around: Surroundings | None = None) -> Sequence[Finding]:
    """Return what the linter says."""
    return lint(subjects(*sources), around)


def codes(*sources: str, around: Surroundings | None = None) -> list[str]:
    """Return the codes of what it says."""
    return [finding.code for finding in said(*sources, around=around)]


ROOT = Path(__file__).resolve().parents[3]
