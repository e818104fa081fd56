"""Actions on a Kubernetes cluster.

One file for each action: `scale`, `rollout_restart`, `rollout_undo`, `delete_pod`, and the probe
`condition`. What they share: `parameters` (what authors write), `cluster` (the client with the
plugins' errors, and what a conflict means), `workload` (a view of a Deployment,
StatefulSet or DaemonSet), `rollout` (has it settled? what does its strategy do?), `revisions` and
`templates` (what can be rolled back to), `autoscaler`, `ownership` (who else may change it back).
"""
