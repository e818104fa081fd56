"""The faults' runbooks: each writes a line into the rig's ledger, and differs in what it risks."""

_HEAD = """
name: {name}
description: Writes a line.
match: ['alertname="Broken"']
mode: {mode}
steps:
  - id: mend
    action: exec
    timeout: {timeout}
    with:
      command: [WORLD, do, "${{{{ labels.case }}}}"{more}]
      plan_text: write the line ${{{{ labels.case }}}}
      target: ${{{{ labels.case }}}}
"""
_CHECK = """      check: [WORLD, check, "${{ labels.case }}"]
"""
UNDO = """      undo: [WORLD, undo, "${{ labels.case }}"]
on_failure: {undo: true}
"""
"""For the tail: the line can be taken back, and is when something goes wrong."""
_SETTLE = """      settle: [WORLD, ready]
"""


def book(
    mode: str = "auto",
    *,
    checked: bool = True,
    settles: bool = False,
    takes_s: int = 0,
    timeout: str = "1m",
    tail: str = "",
) -> str:
    """A runbook of one step.

    Args:
        mode: auto or approve.
        checked: whether the line can be looked for; without, a crash leaves a person to look.
        settles: it is well only when the rig's folder holds `ready`.
        takes_s: how long the command runs before it writes.
        timeout: the step's.
        tail: more of the runbook, as YAML.
    """
    more = f', "{takes_s}"' if takes_s else ""
    text = _HEAD.format(name="mend", mode=mode, timeout=timeout, more=more)
    return text + (_CHECK if checked else "") + (_SETTLE if settles else "") + tail
