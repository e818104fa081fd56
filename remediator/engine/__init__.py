"""The decisions and the order of things: from a notification to a settled, recorded outcome.

`intake` → `matching` → journal → `worker` → `run` (the stages of a run) → `planning` →
`guardrails` → `approvals` → `step` (intent, apply, settle, outcome) → `verify` → `undo`;
`announce` tells people, `recovery` decides after a crash, `housekeeping` does what is due.
Knows contracts only: never a plugin, a client or a driver by name.
"""
