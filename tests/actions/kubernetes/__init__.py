"""The Kubernetes actions against a real control plane, with kubectl as the oracle."""
