"""The shared words as frozen data and pure functions; imports nothing of ours, does no I/O.

`alerts` (notification, alert), `incidents` (identity of a firing episode), `plans` (what would
change, its digest), `verdicts`, `policy` (limits), `runs` (states and the one transition table),
`approvals`, `reasons` (the enum that errors, metrics, logs and screens share), `quantities`
(durations, rates, shares), `canonical` (JSON for digests), `clock` (aware times).
"""
