"""The operator's policy file: YAML → `Policy`, every fault with file, line and column.

Loaded at start and with every reload of the runbooks (`app`), and by `remediator check`. Decides
nothing: what a policy means is the guardrails' affair.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from remediator.model import canonical, complaints
from remediator.model.policy import Policy
from remediator.model.quantities import YamlSchema
from remediator.runbook import document, faults
from remediator.runbook.document import Document
from remediator.runbook.findings import Finding, RunbookErrors, Severity


@dataclass(frozen=True, slots=True)
class PolicySource:
    """A policy, and where it comes from.

    Args:
        file: its path; empty for the one that stands in the settings.
        digest: of its values, so that the audit log tells which one was in force.
        positions: dotted key → (line, column) in the file.
    """

    policy: Policy
    file: str
    digest: str
    positions: Mapping[str, tuple[int, int]] = field(default_factory=dict, compare=False)

    def place(self, key: str) -> tuple[int, int]:
        """Return line and column of a key's value, or of the nearest parent that is there."""
        while key and key not in self.positions:
            key = key.rpartition(".")[0]
        return self.positions.get(key, (1, 1))


def of_settings(policy: Policy) -> PolicySource:
    """Return the policy that stands in the settings."""
    return PolicySource(policy, "", digest(policy))


def read_again(policy: Policy) -> PolicySource:
    """Return the policy that stands in the settings, with its calendars as they are now.

    Raises:
        RunbookErrors: a calendar can't be read.
    """
    try:
        return of_settings(policy.with_calendars_read_again())
    except ValidationError as error:
        faults_found = [
            _fault(Path("settings"), "invalid", complaints.plain(one["msg"]))
            for one in error.errors(include_url=False, include_input=False)
        ]
        raise RunbookErrors(faults_found) from None


def digest(policy: Policy) -> str:
    """Return the digest of a policy's values and calendars; layout and comments of a file do not
    matter."""
    values = policy.model_dump(mode="json", by_alias=True)
    calendars = {str(path): digest for path, digest in policy.calendars.items()}
    return canonical.digest({**values, "calendars": calendars} if calendars else values)


def load(path: Path) -> PolicySource:
    """Read a policy file.

    Raises:
        RunbookErrors: with every fault.
    """
    try:
        source = document.text_of(path)
    except document.Unreadable as error:
        finding = _fault(path, "unreadable", f"the policy cannot be read: {error}")
        raise RunbookErrors([finding]) from None
    policy, doc = _read(source, str(path))
    positions = {
        ".".join(map(str, key)): (where.line, where.column) for key, where in doc.values.items()
    }
    return PolicySource(policy, str(path), digest(policy), positions)


def parse(source: str, file: str) -> Policy:
    """Return the policy that a text holds.

    Raises:
        RunbookErrors: with every fault. An empty file is one too: whoever cut it off by mistake
            would be left with limits that nobody wrote.
    """
    return _read(source, file)[0]


def _read(source: str, file: str) -> tuple[Policy, Document]:
    documents = document.parse(source, file)
    if len(documents) != 1:
        text = f"{len(documents)} documents where one policy is expected"
        raise RunbookErrors([_fault(Path(file), "count", text)])
    policy = faults.validated(documents[0], Policy, "a policy", folder=Path(file).parent)
    return policy, documents[0]


def is_policy(value: Any) -> bool:
    """Whether a document is a policy, and neither a runbook nor settings: for `check`, which is
    given files of all kinds."""
    if not isinstance(value, dict) or "steps" in value or "match" in value:
        return False
    return bool(value.keys() & (Policy.model_fields.keys() - {"mode"}))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a policy file."""
    schema = Policy.model_json_schema(by_alias=True, schema_generator=YamlSchema)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "remediator policy"
    return schema


def _fault(path: Path, code: str, message: str) -> Finding:
    return Finding(str(path), 1, 1, Severity.ERROR, code, message)
