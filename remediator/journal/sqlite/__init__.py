"""SQLite as the journal's engine: one writing connection in one thread, readers beside it.

`engine` (what the handle calls), `writer` (group commit), `connection` (pragmas, translation,
driving operations, errors), `migrate` (schema), `copying` and `offline` (backup, restore),
`filelock` (one daemon per file).
"""
