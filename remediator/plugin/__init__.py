"""The contracts that a stranger implements, and the registry that finds what implements them.

`action` (a change, or a probe that only reads), `source` (a sender's dialect), `notifier` (a way
to tell people), `context` (what a plugin may use), `registry` (folder scan and entry points).
"""
