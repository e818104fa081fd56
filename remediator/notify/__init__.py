"""Plugins that tell people (`plugin.notifier`): one package or module for each way.

They render what the journal says and carry answers to the desk; they decide nothing, and import
only `plugin`, `clients`, `observe` and `model`, never each other. The registry finds them.
"""
