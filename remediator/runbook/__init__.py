"""Runbooks: YAML text → compiled, checked `Runbook`s.

`document` (text with positions) → `schema` (what may stand where) → `compile` (matchers,
expressions, parameter types) → `runbook` (what the engine uses); `index` finds candidates for an
alert, `store` loads folders and notices changes, `lint` advises.
"""
