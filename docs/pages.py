"""Writes what is made from the code: `python docs/pages.py` writes docs/settings.md,
docs/findings.md, deploy/crds, docs/runbook-reference.md (of which `reference_page` says what stands
there), and docs/runbooks (`runbook_pages`).

A test compares what it would write with what is there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from remediator.model.quantities import format_duration
from remediator.runbook import crds
from remediator.runbook.lint import catalogue
from remediator.settings import Settings

HEAD = """\
# Settings

Made from the code by `python docs/pages.py`; do not edit.

One YAML file, `config/remediator.yaml` unless `--config` names another. Every key is also an
environment variable, nested keys joined by two underscores: `REMEDIATOR_KUBERNETES__CONTEXT`; the
environment wins. A secret may be read from a file: `bearer_token_file` beside `bearer_token`. An
unknown key is an error that names the nearest right one. `remediator config` prints what is in
force, secrets masked.

| key | default | meaning |
|---|---|---|
"""


CRD_HEAD = "# Made from the models by `python docs/pages.py`; do not edit.\n"


def settings_page() -> str:
    """Return docs/settings.md."""
    return HEAD + "".join(_rows(Settings, "", None))


def _rows(model: type[BaseModel], prefix: str, defaults: BaseModel | None) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        inner, step = _model_in(field.annotation)
        if inner is not None:
            about = field.description or (inner.__doc__ or "").strip().split("\n\n")[0]
            rows.append(f"| `{key}` | | {_line(about)} |\n")
            own = field.default if isinstance(field.default, inner) else None
            given = getattr(defaults, name, None)
            below = given if isinstance(given, inner) else own
            rows += _rows(inner, f"{key}{step}.", below)
            continue
        value = (
            getattr(defaults, name) if defaults else field.get_default(call_default_factory=True)
        )
        default = "required" if field.is_required() and not defaults else _shown(value)
        rows.append(f"| `{key}` | {default} | {_line(field.description or '')} |\n")
    return rows


def _model_in(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    origin = getattr(annotation, "__origin__", None)
    for inner in get_args(annotation):
        found, _ = _model_in(inner)
        if found is not None:
            named = origin is not None and "Mapping" in str(origin)
            return found, ".NAME" if named else "[]" if origin is tuple else ""
    return None, ""


def _shown(value: Any) -> str:
    if value is None or value is PydanticUndefined or isinstance(value, SecretStr) or value == "":
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"`{key}: {one}`" for key, one in value.items()) or "none"
    total = getattr(value, "total_seconds", None)
    if total is not None:
        return f"`{format_duration(value)}`"
    return f"`{value}`"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def definitions() -> dict[str, str]:
    """Return deploy/crds, by file name."""
    return {
        f"{one['spec']['names']['plural']}.yaml": CRD_HEAD + crds.text(one)
        for one in crds.definitions()
    }


def write_runbooks() -> None:
    """Write docs/runbooks anew; what no runbook is behind any more goes."""
    import runbook_pages  # noqa: PLC0415 - beside this file, which tests load by its path

    library = runbook_pages.shipped()
    pages = {f"{one.name}.md": runbook_pages.page(one, library) for one in library.runbooks}
    pages["README.md"] = runbook_pages.index(library)
    runbook_pages.FOLDER.mkdir(exist_ok=True)
    for old in runbook_pages.FOLDER.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        (runbook_pages.FOLDER / name).write_text(text, encoding="utf-8")
    print(f"wrote {len(pages)} pages in docs/runbooks")


def reference_page() -> str:
    """Return docs/runbook-reference.md."""
    import reference_page as reference  # noqa: PLC0415 - beside this file, which tests load by its path

    return reference.page()


if __name__ == "__main__":
    pages = {
        "settings.md": settings_page(),
        "findings.md": catalogue.page(),
        "runbook-reference.md": reference_page(),
    }
    for name, text in pages.items():
        (Path(__file__).parent / name).write_text(text, encoding="utf-8")
        print(f"wrote {name}")
    folder = Path(__file__).parents[1] / "deploy" / "crds"
    for name, text in definitions().items():
        (folder / name).write_text(text, encoding="utf-8")
        print(f"wrote deploy/crds/{name}")
    write_runbooks()
