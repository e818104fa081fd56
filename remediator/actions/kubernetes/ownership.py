"""Who else may change an object back: GitOps controllers, Helm, operators. Pure.

The marks are those by which the tools find their own objects:
https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/ (Argo CD),
https://fluxcd.io/flux/components/kustomize/kustomizations/ (Flux), and Helm's release metadata.
"""

from collections.abc import Mapping
from typing import Any

from remediator.clients.kubernetes.resources import Object

# Owners that belong to Kubernetes itself put back nothing that an action of ours changes.
_BUILT_IN_GROUPS = ("apps/", "batch/", "v1")


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
    if owner and not str(owner.get("apiVersion", "")).startswith(_BUILT_IN_GROUPS):
        return f"{owner['kind']} {owner['name']} controls it and may put the old state back"
    application = (
        labels.get("argocd.argoproj.io/instance")
        or (annotations.get("argocd.argoproj.io/tracking-id", "").split(":", 1)[0])
    )
    if application:
        return f"Argo CD manages it (application {application}) and may put the old state back"
    for kind in ("kustomize", "helm"):
        name = labels.get(f"{kind}.toolkit.fluxcd.io/name")
        if name:
            what = "Kustomization" if kind == "kustomize" else "HelmRelease"
            return f"Flux manages it ({what} {name}) and may put the old state back"
    release = annotations.get("meta.helm.sh/release-name")
    if release or labels.get("app.kubernetes.io/managed-by") == "Helm":
        named = f" (release {release})" if release else ""
        return f"Helm manages it{named}: its next upgrade may put the old state back"
    return ""


def joined(*notes: str) -> str:
    """Join the sentences of an impact's note."""
    return "; ".join(note for note in notes if note)
