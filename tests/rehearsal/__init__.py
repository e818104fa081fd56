"""Runbook tests, tested: `NAME.test.yaml` → a story on a virtual clock → what came of it."""
