"""The demo's question on the terminal; anybody may answer it elsewhere meanwhile."""

import select
import sys
from collections.abc import Callable

from remediator.cli.demo.teller import Teller

YES = ("", "y", "yes")
NO = ("n", "no")
_LOOK_EVERY_S = 0.3


def interactive() -> bool:
    """Whether there is a person who could be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def ask(teller: Teller, decided_elsewhere: Callable[[], bool]) -> bool | None:
    """Ask until there is an answer.

    Returns:
        Yes or no; None when the run was decided elsewhere (`remediator approve` beside us).
    """
    while True:
        teller.prompt("Approve? [Y/n]")
        while not select.select([sys.stdin], [], [], _LOOK_EVERY_S)[0]:
            if decided_elsewhere():
                teller.plain()
                return None
        line = sys.stdin.readline()
        if not line:  # the terminal is gone; silence is never a yes
            return False
        answer = line.strip().lower()
        if answer in YES:
            return True
        if answer in NO:
            return False
