"""How the demo speaks: one short line for each thing that happens, with its time and who did it."""

import time
from collections.abc import Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from remediator.cli import show

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 88

# Who speaks: the parts of remediator by the names of their modules, and everybody else.
_STYLES = {
    "customers": "magenta",
    "shop": "magenta",
    "alert": "bold red",
    "you": "bold yellow",
    "pager": "bold red",
}
_OURS = "cyan"


class Teller:
    """Prints the story on standard output."""

    def __init__(self) -> None:
        self._console = show.console()
        if not self._console.is_terminal or self._console.width > _WIDTH:
            self._console.width = _WIDTH
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Return how long the story has taken."""
        return time.monotonic() - self._began

    def plain(self, text: str = "", style: str = "") -> None:
        """Print a line that nobody says."""
        self._console.print(Text(text, style=style))

    def act(self, title: str) -> None:
        """Begin a part of the story."""
        self._console.print()
        self._console.print(Rule(Text(title, style="bold"), align="left", style="dim"))

    def say(self, who: str, text: str, style: str = "") -> None:
        """Say what somebody did; nobody goes on with what was said before. Long lines go on below
        their beginning."""
        at = f"{self.elapsed_s:5.1f}s  " if who else " " * 8
        head = Text.assemble((at, "dim"), (f"{who:<12}", _STYLES.get(who, _OURS)))
        lines = Text(show.clean(text), style=style).wrap(
            self._console, self._console.width - head.cell_len
        )
        for number, line in enumerate(lines):
            start = head if number == 0 else Text(" " * head.cell_len)
            self._console.print(Text.assemble(start, line))

    def block(self, thing: RenderableType) -> None:
        """Show something indented, such as a plan."""
        self._console.print()
        self._print(Padding(thing, (0, 0, 0, 8)))
        self._console.print()

    def _print(self, thing: RenderableType) -> None:
        """Print, without spaces at the ends of lines in a pipe."""
        if self._console.is_terminal:
            self._console.print(thing)
            return
        with self._console.capture() as captured:
            self._console.print(thing)
        for line in captured.get().splitlines():
            self._console.print(Text(line.rstrip()))

    def prompt(self, text: str) -> None:
        """Print a question and stay on its line."""
        self._console.print(Text(f"        {text} ", style="bold yellow"), end="")


def bars(values: Sequence[float]) -> str:
    """Return values as a line of bars, the highest as high as it can be."""
    top = max(values, default=0.0) or 1.0
    return "".join(_BARS[min(7, int(value / top * 7.99))] for value in values)
