"""Line plots as SVG text: axes, a grid, lines with their names. Nothing else is needed here."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.measure import Curve

_WIDTH, _HEIGHT = 720, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 20, 50, 60
# Told apart by people who see colours differently (Okabe and Ito), on white and on dark.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")


def plot(curve: Curve) -> str:
    """Return the curve as an SVG document."""
    points = [point for line in curve.lines.values() for point in line]
    across = _Axis([x for x, _ in points], curve.log_x, _LEFT, _WIDTH - _RIGHT)
    # Doublings and tenfold growth look the same everywhere on a logarithmic axis.
    up = _Axis([y for _, y in points], True, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        _head(curve.title),
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        _text(_LEFT, 20, curve.title, size=15),
        *(_vertical(across.at(x), _number(x)) for x in across.ticks()),
        *(_horizontal(up.at(y), _number(y)) for y in up.ticks()),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, curve.x, anchor="middle"),
        _text(12, _TOP - 12, curve.y),
    ]
    for number, (name, line) in enumerate(curve.lines.items()):
        parts += _line(name, line, across, up, number)
    return "\n".join([*parts, "</svg>", ""])


def _head(title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="12" role="img" aria-label="{escape(title)}">'
    )


class _Axis:
    """Values to places on paper."""

    def __init__(self, values: Sequence[float], log: bool, start: float, end: float) -> None:
        self._log = log
        self._start, self._end = start, end
        low, high = min(values), max(values)
        if log:
            low, high = 10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high))
        else:
            low = 0
        self.low, self.high = low, max(high, low * 10 if log else low + 1)

    def at(self, value: float) -> float:
        """Return where a value stands."""
        share = self._share(value)
        return round(self._start + share * (self._end - self._start), 1)

    def ticks(self) -> list[float]:
        """Return the values that get a line of the grid."""
        if not self._log:
            return [self.high * n / 4 for n in range(5)]
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        return [10.0**power for power in range(first, last + 1)]

    def _share(self, value: float) -> float:
        if self._log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def _line(
    name: str, line: Sequence[tuple[float, float]], across: _Axis, up: _Axis, number: int
) -> list[str]:
    colour = _COLOURS[number % len(_COLOURS)]
    places = [(across.at(x), up.at(y)) for x, y in line]
    path = " ".join(f"{x},{y}" for x, y in places)
    legend = _TOP - 22 + 14 * (number + 1)
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places),
        f'<rect x="{_LEFT + 8}" y="{legend}" width="10" height="10" fill="{colour}"/>',
        _text(_LEFT + 24, legend + 9, name),
    ]


def _vertical(x: float, label: str) -> str:
    return f'<path d="M{x} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#ddd"/>' + _text(
        x, _HEIGHT - _BOTTOM + 18, label, anchor="middle"
    )


def _horizontal(y: float, label: str) -> str:
    return f'<path d="M{_LEFT} {y}H{_WIDTH - _RIGHT}" stroke="#ddd"/>' + _text(
        _LEFT - 8, y + 4, label, anchor="end"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="#222">'
        f"{escape(text)}</text>"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
