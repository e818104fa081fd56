"""Who else may change an object back: GitOps controllers, Helm, operators. Pure.

The marks are those by which the tools find their own objects:
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/ (Argo CD),
https://fluxcd.io/flux/components/kustomize/kustomizations/ (Flux), and Helm's release metadata;
and the names under which they write, which the API server keeps in `managedFields`. The label by
which Argo CD tracks unless told otherwise, `app.kubernetes.io/instance`, names the application but
is no mark: every chart sets it.
"""

from collections.abc import Mapping
from typing import Any

from remediator.clients.kubernetes.resources import Object
from remediator.model.plans import Progress, Settled

# Owners that belong to Kubernetes itself put back nothing that an action of ours changes.
_BUILT_IN_GROUPS = ("apps/", "batch/", "v1")
# The field manager of its default, and of its server-side apply.
_ARGO_CD = frozenset({"argocd-controller", "argocd-application-controller"})


def controller(raw: Object) -> Mapping[str, Any] | None:
    """Return the owner reference of the object's controller."""
    for owner in raw["metadata"].get("ownerReferences") or []:
        if owner.get("controller"):
            found: Mapping[str, Any] = owner
            return found
    return None


def note(raw: Object) -> str:
    """Say who may put the old state back; empty when nobody is known to."""
    metadata = raw["metadata"]
    labels: Mapping[str, str] = metadata.get("labels") or {}
    annotations: Mapping[str, str] = metadata.get("annotations") or {}
    owner = controller(raw)
    writers = {str(entry.get("manager", "")) for entry in metadata.get("managedFields") or []}
    if owner and not str(owner.get("apiVersion", "")).startswith(_BUILT_IN_GROUPS):
        return f"{owner['kind']} {owner['name']} controls it and may put the old state back"
    application = (
        labels.get("argocd.argoproj.io/instance")
        or (annotations.get("argocd.argoproj.io/tracking-id", "").split(":", 1)[0])
    )
    if application or writers & _ARGO_CD:
        application = application or labels.get("app.kubernetes.io/instance", "")
        named = f" (application {application})" if application else ""
        return f"Argo CD manages it{named} and may put the old state back"
    for kind, what in (("kustomize", "Kustomization"), ("helm", "HelmRelease")):
        name = labels.get(f"{kind}.toolkit.fluxcd.io/name", "")
        if name or f"{kind}-controller" in writers:
            named = f"{what} {name}" if name else f"a {what}"
            return f"Flux manages it ({named}) and may put the old state back"
    release = annotations.get("meta.helm.sh/release-name")
    if release or labels.get("app.kubernetes.io/managed-by") == "Helm":
        named = f" (release {release})" if release else ""
        return f"Helm manages it{named}: its next upgrade may put the old state back"
    return ""


def interfered(sentence: str, raw: Object) -> Settled:
    """Say that somebody else has undone or overtaken a change, and who that may have been."""
    who = note(raw)
    return Settled(Progress.FAILED, f"{sentence} ({who})" if who else sentence)


def joined(*notes: str) -> str:
    """Join the sentences of an impact's note."""
    return "; ".join(note for note in notes if note)
