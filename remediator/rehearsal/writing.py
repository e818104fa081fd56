"""Values → the YAML that an author would write: runbooks and tests that commands make."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML

_WIDTH = 100


def yaml_text(document: Mapping[str, Any]) -> str:
    """Return a document as YAML, its keys in their order."""
    writer: Any = YAML()
    writer.width = _WIDTH
    writer.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    write: Any = getattr(writer, "dump")  # noqa: B009 - its type says that it is no function
    write(_writable(document), out)
    return out.getvalue()


def modeline(schema: str) -> list[str]:
    """Return the line by which editors find the JSON Schema; none where it is not known."""
    return [f"# yaml-language-server: $schema={schema}"] if schema else []


def _writable(value: Any) -> Any:
    """Return a value as the writer takes it: mappings and lists of our own become plain ones."""
    if isinstance(value, Mapping):
        return {key: _writable(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_writable(inner) for inner in value]
    return value
