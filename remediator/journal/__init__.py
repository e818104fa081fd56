"""The journal: all state, and the audit chain, behind one set of Protocols (`protocol`).

`opening.open_journal` picks the engine by URL and returns a `handle`. An operation is a small
generator of SQL statements (`statements`; one module per noun), so that the same code runs in
SQLite's writer thread and over PostgreSQL's asyncio driver; the engine (`engine`, `sqlite`) commits
what has gathered in one transaction and appends its audit entries to the chain (`audit`, `chain`).

Reading order: `protocol` and `values`, `statements`, `intake` (a notification), `updates` and
`transitions` (a run's way), `history` (what limits look back on), `decisions` and `interventions`
(people), `outbox` (notes), `sqlite.writer` (group commit). Offline proof: `verify`, `anchors`.
Copies: `copies`, `restoring`, and each engine's own (`sqlite.copying`, `sqlite.offline`,
`postgres.dumping`).
"""
