"""Plugins: one sender's payload dialect → a notification (`plugin.source`). Pure, no I/O.

One module for each dialect, found by the registry; `web` serves each at `POST /webhook/<name>`.
"""
