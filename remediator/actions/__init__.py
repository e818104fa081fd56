"""Plugins that act and probe: one package or module for each system, one file for each action.

They import only `plugin`, `clients`, `observe` and `model`, and never each other's packages. The
registry finds them by scanning; nothing lists them.
"""
