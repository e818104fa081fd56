"""Proves of the simulated Prometheus, with Prometheus's own engine and promtool as oracles."""
