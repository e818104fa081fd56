"""Real daemons, real faults; beside each what must happen.

A fault is begun, something is asked of the daemon meanwhile, and the fault ends. Then `whole.check`
holds, whatever it was; what holds besides stands in each test's first lines. docs/faults.md tells
the same to those who run remediator.
"""
