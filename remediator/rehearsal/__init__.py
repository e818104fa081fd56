"""Runbook tests: `NAME.test.yaml` → a story on a virtual clock → what was expected and what came.

Runs the real engine and the real actions on the `simulated` world. Called by `remediator test`.
"""
