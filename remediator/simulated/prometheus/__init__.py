"""A Prometheus in memory: series in promtool's notation, PromQL over them, and its HTTP answers.

`server.Prometheus` is what others use; `evaluating` evaluates, with a file for each family of
functions. What holds is Prometheus 3's: ranges are open on the left. Our own suite holds it against
Prometheus's engine and against promtool.
"""

from remediator.simulated.prometheus.server import Prometheus

__all__ = ["Prometheus"]
