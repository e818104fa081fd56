"""A world in memory: an API server, a Prometheus, HTTP answers and commands, on a virtual clock.

Stands where clients have their connections, so that the real clients and actions work on it. Used
by `rehearsal` for runbook tests; our own suite holds it against the real servers.
"""
