"""What a runbook that lives in a namespace may do: act there, and read there as far as it says
where. Pure.

Three lines of defence, each told in the words of `lifted`. What shows in the text is refused when
it is taken up (`kept_home`); parameters are looked at before a probe reads or a plan is made
(`strays`); and a guardrail judges the plan (`engine.guardrails.where.own_namespace`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from remediator.model import canonical
from remediator.model.matchers import Matcher, Operator
from remediator.plugin.action import Action, AnyOperation
from remediator.runbook.findings import Finding, RunbookErrors, Severity
from remediator.runbook.manifests import Home
from remediator.runbook.runbook import Runbook

LABEL = "namespace"
"""The label by which an alert belongs to a namespace; kube-prometheus's rules carry it."""


def lifted(namespace: str) -> str:
    """Return what lifts the confinement, for people."""
    return (
        f"the operator may name {namespace} in resources.unconfined of the settings, or keep the "
        "runbook in a file"
    )


def confined(runbook: Runbook, home: Home) -> Runbook:
    """Return a resource's runbook: its full name, its own version, and its namespace.

    The version covers the namespace: two namespaces may hold the same text, and are not the same.
    """
    return replace(
        runbook,
        name=str(home),
        namespace=home.namespace,
        version=canonical.digest({"home": str(home), "version": runbook.version}),
    )


def kept_home(runbook: Runbook) -> Runbook:
    """Return a runbook that lives in a namespace with eyes for that namespace's alerts only; any
    other as it is.

    Raises:
        RunbookErrors: it can be seen to leave the namespace, whatever alert comes.
    """
    if not runbook.namespace:
        return runbook
    found = list(_faults(runbook))
    if found:
        raise RunbookErrors(found)
    own = Matcher(LABEL, Operator.EQUAL, runbook.namespace)
    return replace(runbook, matchers=tuple((*line, own) for line in runbook.matchers))


def _faults(runbook: Runbook) -> Iterator[Finding]:
    verify = runbook.verify.step if runbook.verify else None
    for step in (*runbook.steps, *([verify] if verify else [])):
        written = {name: value for name, value in runbook.fixed(step).items() if _plain(value)}
        why = strays(runbook.namespace, step.operation, written, partly=True)
        if why:
            file, line, column = step.where.rsplit(":", 2)
            yield _finding(runbook, (int(line), int(column)), f"{step.id}: {why}", file)
    silence = runbook.silence
    if silence is not None and LABEL not in silence.equal:
        text = "a runbook of a namespace silences its own alerts only: put namespace among equal"
        yield _finding(runbook, runbook.positions.get("silence", (1, 1)), text)


def strays(
    namespace: str, operation: AnyOperation, given: Mapping[str, Any], *, partly: bool = False
) -> str:
    """Return why these parameters lead out of the namespace; empty where they do not.

    Args:
        namespace: whose runbook it is.
        operation: the action or probe.
        given: its parameters as they are written or worked out.
        partly: some are not known yet, so that nothing can be said of those.
    """
    system = operation.name.partition(".")[0]
    if system == "kubernetes":
        return _kubernetes(namespace, operation, given, partly)
    if isinstance(operation, Action) or system not in _SPEAK_OF_NO_NAMESPACE:
        return f"{operation.name} is about what is in no namespace; {_only(namespace)}"
    if system == "alertmanager":
        named = dict(given.get("labels") or {}).get(LABEL)
        return (
            f"it asks for alerts of {named}; {_only(namespace)}" if _other(named, namespace) else ""
        )
    return _http(namespace, given) if system == "http" else ""


# Probes whose answers are not one namespace's, and which say where as far as they can.
_SPEAK_OF_NO_NAMESPACE = frozenset({"alertmanager", "http", "prometheus"})


def _other(named: object, namespace: str) -> bool:
    return named is not None and named != namespace


def _http(namespace: str, given: Mapping[str, Any]) -> str:
    if given.get("follow_redirects"):
        return f"it goes wherever the answer points; {_only(namespace)}"
    url = given.get("url")
    if url is None or _own_host(url, namespace):
        return ""
    return (
        f"it asks what is no service of namespace {namespace} (SERVICE.{namespace}.svc); "
        f"{_only(namespace)}"
    )


def _kubernetes(
    namespace: str, operation: AnyOperation, given: Mapping[str, Any], partly: bool
) -> str:
    if "namespace" not in operation.Params.model_fields:
        return f"{operation.name} is about what is in no namespace; {_only(namespace)}"
    named = given.get("namespace")
    if named == namespace or (partly and "namespace" not in given):
        return ""
    if not named:
        return "" if partly else f"it names no namespace; {_only(namespace)}"
    return f"it is about namespace {named}; {_only(namespace)}"


def _only(namespace: str) -> str:
    return f"a runbook of namespace {namespace} acts in {namespace} only"


def _own_host(url: object, namespace: str) -> bool:
    try:
        host = (urlsplit(str(url)).hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    # Not `SERVICE.shop`: the world's domains are called like that, too.
    return host.endswith((f".{namespace}.svc", f".{namespace}.svc.cluster.local"))


def _plain(value: Any) -> bool:
    """Whether a parameter stands there as it will be."""
    if isinstance(value, Mapping):
        return all(map(_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    return value is None or isinstance(value, str | int | float | bool)


def _finding(runbook: Runbook, at: tuple[int, int], text: str, file: str = "") -> Finding:
    hint = lifted(runbook.namespace)
    return Finding(file or runbook.file, *at, Severity.ERROR, "outside-namespace", text, hint)
