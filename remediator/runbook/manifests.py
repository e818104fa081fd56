"""Custom resources as runbook documents: an object of the API ↔ the text that is compiled and kept.

A `Runbook` resource is a runbook file's document under `spec`, with its name and namespace in
`metadata`. What is compiled, and kept in the journal for runs in flight, is the manifest as YAML,
so that a version says by itself where it comes from. Faults are told by their path in the spec: the
author never sees the lines of our YAML. Pure; knows nothing of the API server.
"""

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from remediator.model import canonical
from remediator.runbook import document
from remediator.runbook.document import Document, Path
from remediator.runbook.findings import Finding, RunbookErrors

GROUP = "remediator.dev"
API_VERSION = f"{GROUP}/v1alpha1"
RUNBOOK = "Runbook"
POLICY = "RemediationPolicy"

NAME_PATTERN = "^[a-z0-9][a-z0-9-]*$"
LONGEST_NAME = 63
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, order=True)
class Home:
    """Where a resource lives: what it is called in the daemon."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """`shop/restart`: no file's runbook can be called so, and no two resources are."""
        return f"{self.namespace}/{self.name}"


def is_manifest(value: Any, kind: str | None = None) -> bool:
    """Whether a document is a resource of ours (of this kind), and not a runbook as it stands in a
    file."""
    if not isinstance(value, Mapping) or kind not in (None, value.get("kind")):
        return False
    return str(value.get("apiVersion", "")).startswith(f"{GROUP}/")


def is_foreign(value: Any) -> bool:
    """Whether a document is plainly something else, as a repository's folder may hold beside its
    runbooks: a manifest of another API, or a file of Prometheus's rules."""
    if not isinstance(value, Mapping) or {"steps", "match"} & value.keys():
        return False
    if {"apiVersion", "kind"} <= value.keys():
        return not is_manifest(value)
    return isinstance(value.get("groups"), list)


def text_of(kind: str, home: Home, spec: Any) -> str:
    """Return a resource as YAML: what it was told, and nothing of what the API server adds."""
    value = {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": home.name, "namespace": home.namespace},
        "spec": spec,
    }
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 10**9  # nothing is folded
    yaml.sort_base_mapping_type_on_output = False
    yaml.representer.add_representer(str, _text)
    stream = io.StringIO()
    try:
        yaml.dump(value, stream)
        text = stream.getvalue()
        if [one.value for one in document.parse(text, "")] == [value]:
            return text
    except (YAMLError, RunbookErrors, RecursionError):
        pass
    # A text that YAML can't carry as it is; JSON is YAML, too.
    return canonical.dumps(value) + "\n"


def _text(representer: Any, value: str) -> Any:
    style = "|" if "\n" in value else None
    return representer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def spec_of(doc: Document, kind: str = RUNBOOK) -> tuple[Document, Home]:
    """Return what stands under `spec` as a document of its own, with its positions, and its home.

    A runbook's `name` may be left out there; it is the resource's.

    Raises:
        RunbookErrors: it is no such resource, or lacks what each has.
    """
    value = doc.value
    found = []
    if value.get("apiVersion") != API_VERSION or value.get("kind") != kind:
        text = f"this is {value.get('apiVersion')} {value.get('kind')}, not {API_VERSION} {kind}"
        found.append(doc.finding(("apiVersion",), "structure", text))
    metadata, spec = value.get("metadata"), value.get("spec")
    if not isinstance(metadata, dict) or not isinstance(spec, dict):
        text = "a resource has metadata and spec, both mappings of keys"
        raise RunbookErrors([*found, doc.finding((), "structure", text)])
    name, namespace = str(metadata.get("name", "")), str(metadata.get("namespace", ""))
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > LONGEST_NAME:
        text = f"metadata.name: {name!r}: small letters, digits and -, at most {LONGEST_NAME}"
        found.append(doc.finding(("metadata", "name"), "invalid", text))
    if not _NAMESPACE.fullmatch(namespace):
        text = "metadata.namespace is missing: a resource acts in its own namespace"
        found.append(doc.finding(("metadata", "namespace"), "missing-key", text))
    if kind == RUNBOOK and spec.get("name", name) != name:
        text = f"spec.name is {spec['name']!r} and metadata.name {name!r}; leave spec.name out"
        found.append(doc.finding(("spec", "name"), "invalid", text))
    if found:
        raise RunbookErrors(found)
    inner = {"name": name, **spec} if kind == RUNBOOK else spec
    return (
        replace(doc, value=inner, values=_below(doc.values), keys=_below(doc.keys)),
        Home(namespace, name),
    )


def _below(positions: Mapping[Path, Any]) -> dict[Path, Any]:
    return {path[1:]: where for path, where in positions.items() if path[:1] == ("spec",)}


def read(kind: str, home: Home, spec: Any) -> Document:
    """Return a resource as a document.

    Raises:
        RunbookErrors: it breaks a bound.
    """
    (doc,) = document.parse(text_of(kind, home, spec), f"{kind} {home}")
    return doc


def told(findings: Iterable[Finding], doc: Document) -> tuple[str, ...]:
    """Return faults of a resource as sentences that name the place by its path in the object.

    `spec.steps[0].if, character 8: unknown variable …`; of a text of several lines the line as
    well. Faults of what it uses are told with that one's file.
    """
    return tuple(_told(one, doc) for one in findings)


def _told(finding: Finding, doc: Document) -> str:
    hint = f"; {finding.hint}" if finding.hint else ""
    text = f"{finding.message}{hint} [{finding.code}]"
    at = (finding.line, finding.column)
    if finding.file != doc.file:
        return f"{finding.file}:{finding.line}:{finding.column}: {text}"
    keys = {(p.line, p.column): path for path, p in doc.keys.items()}
    if finding.code in ("unknown-key", "duplicate-key") and at in keys:
        return f"{_shown(keys[at])}: {text}"
    # A mapping begins where its first key does: of two paths at one place, the shorter is meant.
    exact = [path for path, p in doc.values.items() if (p.line, p.column) == at]
    if exact:
        return f"{_shown(min(exact, key=len))}: {text}"
    before = [(p.line, p.column, path) for path, p in doc.values.items() if (p.line, p.column) < at]
    if not before:
        return text
    line, column, path = max(before, key=lambda one: one[:2])
    if finding.line > line:  # inside a block, whose text begins below its own line
        first = doc.source.splitlines()[line]
        indent = len(first) - len(first.lstrip())
        inside = f", line {finding.line - line}, character {finding.column - indent}"
    else:
        inside = f", character {finding.column - column + 1}"
    return f"{_shown(path)}{inside}: {text}"


def _shown(path: Path) -> str:
    """Write a path as kubectl explain and the API server's own errors do."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += f".{part}" if shown else part
    return shown or "spec"
