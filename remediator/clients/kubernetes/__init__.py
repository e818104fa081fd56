"""The Kubernetes API in raw JSON, by kubernetes-asyncio's configuration and transport.

`client` is what plugins use; `resources` names what the API serves; `answers` turns refusals into
sentences; `connection` finds the cluster and authenticates; `sdk` is the only importer of
kubernetes_asyncio, and imports no more of it than is used.
"""

from remediator.clients.kubernetes.client import Kubernetes

__all__ = ["Kubernetes"]
