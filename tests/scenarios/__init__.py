"""The whole way on real servers: Prometheus, Alertmanager, the daemon as a process, Kubernetes."""
