"""`remediator rbac`: the smallest roles that the credentials need for these runbooks."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remediator.cli import options
from remediator.cli.failure import Failure

if TYPE_CHECKING:
    from remediator.plugin.action import Permission
    from remediator.runbook.runbook import CompiledStep, Runbook
    from remediator.settings import Settings

_ANY = "*"


@click.command("rbac")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="PATH…")
@click.option("--name", default="remediator", show_default=True, help="Of the roles.")
@options.config
@options.output
def command(paths: tuple[Path, ...], name: str, config: Path | None, output: str) -> None:
    """Print the Kubernetes Role and ClusterRole that the runbooks need, and no more.

    PATH is a folder or file of runbooks; default: the settings'. A step whose namespace is only
    known when the alert comes needs its rights in the whole cluster, but for a runbook that lives
    in a namespace. Programs that `exec` needs are printed as a comment. Where the settings enable
    resources, watching them and writing their status is among it.
    """
    from remediator.cli import runbook_files, show  # noqa: PLC0415 - keeps --help quick

    settings = options.read_settings(config) if config or not paths else None
    where = paths or (settings.runbooks if settings else ())
    runbooks = runbook_files.load(where, runbook_files.registry())
    wanted = [*needed(runbooks), *(_for_resources(settings) if settings else ())]
    roles = _roles(wanted, name)
    others = sorted({(p.system, p.resource) for p in wanted if p.system != "kubernetes"})
    if output == "json":
        other = [{"system": system, "resource": resource} for system, resource in others]
        show.as_json({"roles": roles, "others": other})
        return
    for role in roles:
        show.as_yaml(role, document=True)
    for system, resource in others:
        click.echo(f"# {system}: {resource}")
    if not wanted:
        click.echo("# these runbooks need no rights")


def needed(runbooks: Sequence["Runbook"]) -> Sequence["Permission"]:
    """Return what the credentials need for these runbooks, in the order of their steps.

    Raises:
        Failure: what a step needs can't be told before an alert comes.
    """
    steps = [(runbook, step) for runbook in runbooks for step in runbook.steps]
    steps += [(one, one.verify.step) for one in runbooks if one.verify and one.verify.step]
    return [
        replace(permission, scope=runbook.namespace)
        if runbook.namespace and permission.scope == _ANY
        else permission
        for runbook, step in steps
        for permission in _of_step(runbook, step)
    ]


def _for_resources(settings: "Settings") -> Iterator["Permission"]:
    """Yield what watching custom resources and writing their status needs."""
    from remediator.clients.kubernetes.resources import POLICIES, RUNBOOKS  # noqa: PLC0415
    from remediator.plugin.action import Permission  # noqa: PLC0415

    resources = settings.resources
    if not resources.enabled:
        return
    for scope in (_ANY,) if resources.watch == "all" else resources.watch:
        for one in (RUNBOOKS, POLICIES):
            yield Permission("kubernetes", one.rbac, ("list", "watch"), scope)
            yield Permission("kubernetes", f"{one.rbac}/status", ("patch",), scope)


def _of_step(runbook: "Runbook", step: "CompiledStep") -> Sequence["Permission"]:
    """Ask the operation, with what is written out.

    A value that only the alert brings stands as `*`; operations take the scope that they can't
    know yet for the whole cluster.

    Raises:
        Failure: the operation can't tell without the value.
    """
    given = {name: _known(value) for name, value in runbook.fixed(step).items()}
    params = step.operation.Params.model_construct(**given)
    try:
        return step.operation.permissions(params)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise Failure(
            f"{step.where}: what {step.operation.name} needs can't be told before an alert comes "
            f"({error}); write out what the alert's labels decide here"
        ) from None


def _known(value: Any) -> Any:
    from remediator.runbook.expressions import Template  # noqa: PLC0415 - imports CEL

    if isinstance(value, Template):
        return _ANY
    if isinstance(value, Mapping):
        return {key: _known(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_known(inner) for inner in value)
    return value


def _roles(needed: Sequence["Permission"], name: str) -> list[dict[str, Any]]:
    scopes: dict[str, dict[tuple[str, str], set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in needed:
        if one.system != "kubernetes":
            continue
        group, _, resource = one.resource.partition("/")
        scopes[one.scope][(group, resource)].update(one.verbs)
    everywhere = scopes.get(_ANY, {})
    roles = []
    for scope in sorted(scopes):
        rules = {
            key: verbs - (everywhere.get(key, set()) if scope != _ANY else set())
            for key, verbs in scopes[scope].items()
        }
        written = _rules(rules)
        if not written:
            continue
        cluster = scope == _ANY
        metadata = {"name": name} if cluster else {"name": name, "namespace": scope}
        roles.append(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole" if cluster else "Role",
                "metadata": metadata,
                "rules": written,
            }
        )
    return roles


def _rules(rules: Mapping[tuple[str, str], set[str]]) -> list[dict[str, Any]]:
    """Write rules, those of one group with the same verbs together."""
    together: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, resource), verbs in sorted(rules.items()):
        if verbs:
            together[(group, tuple(sorted(verbs)))].append(resource)
    return [
        {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
        for (group, verbs), resources in together.items()
    ]
