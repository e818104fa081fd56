"""A Kubernetes API server in memory, with its controllers, on virtual time.

Read in this order: `cluster` (what a world holds), `beginning` (manifests become a cluster),
`server` with `writes` and `subresources` (requests), `control_plane` (time and the queue), then the
controllers, a module each. The suite in tests/simulated/kubernetes holds it against the real one.
"""

from remediator.simulated.kubernetes.cluster import Cluster

__all__ = ["Cluster"]
