"""Charts of the report: numbers go in, inline SVG comes out, which needs no script and nothing from the network.

Colours are classes that the page's style sheet fills in, so that a chart follows its light and dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from audotics.evaluation.calibration import ReliabilityBin
from audotics.features.interval import Interval

SERIES_COLOURS = 12
"""Classes s0, s1, … that the style sheet knows; further series start again."""

_WIDTH = 760
_LABEL_WIDTH = 130
_ROW = 26


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from 0 to `highest` over `length` pixels from `start`."""

    highest: float
    start: float
    length: float

    def place(self, value: float) -> float:
        return self.start + self.length * min(value / self.highest, 1.0)

    def ticks(self) -> list[float]:
        """Round numbers from 0, three to six of them."""
        rough = self.highest / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        return [step * count for count in range(int(self.highest / step + 1e-9) + 1)]


def interval_bars(intervals: Mapping[str, Interval], *, title: str) -> str:
    """One bar a name, with its interval as a whisker and its value beside it."""
    axis = _axis(max(interval.high for interval in intervals.values()), start=_LABEL_WIDTH, length=520)
    height = _ROW * len(intervals) + 30
    parts = _grid(axis, height)
    for row, (name, interval) in enumerate(intervals.items()):
        middle = 8 + _ROW * row + _ROW / 2
        low, high, end = axis.place(interval.low), axis.place(interval.high), axis.place(interval.estimate)
        parts += [
            _text(_LABEL_WIDTH - 8, middle + 4, name, anchor="end"),
            f'<rect class="bar" x="{axis.start}" y="{middle - 8:.1f}" width="{end - axis.start:.1f}" height="16"/>',
            f'<path class="whisker" d="M{low:.1f} {middle - 5:.1f}v10M{low:.1f} {middle:.1f}H{high:.1f}m0 -5v10"/>',
            _text(axis.start + axis.length + 12, middle + 4, f"{interval.estimate:.4f} ± {_half_width(interval):.4f}"),
        ]
    return _svg(_WIDTH, height, title, parts)


def grouped_bars(groups: Sequence[str], series: Mapping[str, Sequence[float]], *, title: str) -> str:
    """One block of bars a group, one bar a series in each; `series` maps a name to one value a group."""
    left, base, top, width = 48.0, 220.0, 12.0, _WIDTH - 60.0
    highest = max((value for values in series.values() for value in values), default=0.0)
    axis = _axis(highest, start=0, length=base - top)
    parts = [
        f'<path class="grid" d="M{left} {base - axis.place(tick):.1f}H{left + width:.0f}"/>'
        + _text(left - 6, base - axis.place(tick) + 4, f"{tick:.3g}", anchor="end")
        for tick in axis.ticks()
    ]
    block = width / max(len(groups), 1)
    bar = 0.8 * block / max(len(series), 1)
    for place, group in enumerate(groups):
        x = left + block * (place + 0.1)
        for number, (name, values) in enumerate(series.items()):
            height = axis.place(values[place])
            parts.append(
                f'<rect class="{_colour(number)}" x="{x + bar * number:.1f}" y="{base - height:.1f}" '
                f'width="{bar * 0.92:.1f}" height="{height:.1f}"><title>{escape(name)}, {escape(group)}: '
                f"{values[place]:.4f}</title></rect>"
            )
        parts.append(_text(left + block * (place + 0.5), base + 16, group, anchor="middle"))
    for number, name in enumerate(series):
        x, y = left + 115 * (number % 6), base + 32 + 18 * (number // 6)
        parts.append(f'<rect class="{_colour(number)}" x="{x}" y="{y}" width="10" height="10"/>')
        parts.append(_text(x + 15, y + 9, name))
    return _svg(_WIDTH, int(base + 36 + 18 * ((len(series) + 5) // 6)), title, parts)


def reliability_curve(curve: Sequence[ReliabilityBin], *, title: str) -> str:
    """Observed over predicted frequency, beside the diagonal of a perfect calibration."""
    left, base, size = 56.0, 300.0, 280.0
    axis = _axis(max(max(part.predicted, part.observed) for part in curve), start=0, length=size)
    parts = []
    for tick in axis.ticks():
        offset = axis.place(tick)
        parts.append(f'<path class="grid" d="M{left} {base - offset:.1f}h{size}M{left + offset:.1f} {base}v-{size}"/>')
        parts.append(_text(left - 6, base - offset + 4, f"{tick:.3g}", anchor="end"))
        parts.append(_text(left + offset, base + 16, f"{tick:.3g}", anchor="middle"))
    points = [(left + axis.place(part.predicted), base - axis.place(part.observed)) for part in curve]
    parts.append(f'<path class="diagonal" d="M{left} {base}L{left + size} {base - size}"/>')
    parts.append(f'<polyline class="curve" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
    for (x, y), part in zip(points, curve, strict=True):
        parts.append(
            f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{part.count:,} tracks: confidence '
            f"{part.predicted:.4f}, held-out share {part.observed:.4f}</title></circle>"
        )
    parts.append(_text(left + size / 2, base + 34, "confidence", anchor="middle"))
    parts.append(_text(left + size + 12, base - size + 4, "share of held-out tracks"))
    return _svg(520, int(base + 44), title, parts)


def _axis(highest: float, *, start: float, length: float) -> Axis:
    return Axis(highest * 1.05 if highest > 0 else 1.0, start, length)


def _half_width(interval: Interval) -> float:
    return (interval.high - interval.low) / 2


def _grid(axis: Axis, height: int) -> list[str]:
    lines = [f'<path class="grid" d="M{axis.place(tick):.1f} 4V{height - 20}"/>' for tick in axis.ticks()]
    return lines + [_text(axis.place(tick), height - 6, f"{tick:.3g}", anchor="middle") for tick in axis.ticks()]


def _colour(number: int) -> str:
    return f"s{number % SERIES_COLOURS}"


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    label = escape(title, quote=True)
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" role="img" aria-label="{label}">{"".join(parts)}</svg>'
