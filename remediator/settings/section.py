"""A part of the settings: frozen, closed, with secrets that files may hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import re2
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, model_validator

from remediator.model import links


class Section(BaseModel):
    """A part of the settings. Secrets given as `<name>_file` are read from that file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        values = dict(given)
        for name, field in cls.model_fields.items():
            path = values.get(f"{name}_file")
            if (
                path is None
                or f"{name}_file" in cls.model_fields
                or not _is_secret(field.annotation)
            ):
                continue
            if values.get(name) is not None:
                raise ValueError(f"give {name} or {name}_file, not both")
            try:
                values[name] = Path(str(path)).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"{name}_file: cannot read {path}: {error.strerror}") from None
            if not values[name]:
                raise ValueError(f"{name}_file: {path} is empty")
            del values[f"{name}_file"]
        for name, field in cls.model_fields.items():
            # A variable that is set to nothing, as Compose does it: everybody knows that secret.
            found = values.get(name)
            if isinstance(found, SecretStr):
                found = found.get_secret_value()
            if isinstance(found, str) and not found.strip() and _is_secret(field.annotation):
                raise ValueError(f"{name} is empty: give it a value, or leave it out")
        return values


def _is_secret(annotation: object) -> bool:
    return "SecretStr" in str(annotation)


def _a_pattern(given: str) -> str:
    try:
        re2.compile(given)
    except re2.error as error:
        raise ValueError(f"{given!r} is no regular expression: {error}") from None
    return given


def _a_link(given: str) -> str:
    if wrong := links.fault(given):
        raise ValueError(wrong)
    return given


Pattern = Annotated[str, AfterValidator(_a_pattern)]
"""A regular expression, RE2."""

LinkTemplate = Annotated[str, AfterValidator(_a_link)]
"""A URL with labels in it (`remediator.model.links`)."""
