"""Axes, lines, bands and bars as SVG text; coordinates rounded, so that bytes are the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

COLORS = ("#0a3a5c", "#b8541f", "#4b7a4b", "#7a4f86", "#5c5c5c")
DASHES = ("", "6 3", "2 2", "8 3 2 3", "1 3")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot.

    Attributes:
        svg: the drawing.
        caption: what it shows, from which files, and what its bands mean.
    """

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Line:
    """Points that belong together, with their intervals.

    Attributes:
        name: for the legend.
        points: x and y, by rising x.
        bands: lower and upper end at each point; empty where there are none.
        bars: the intervals as bars at the points, rather than as a band along the line.
        joined: the points by a line.
    """

    name: str
    points: Sequence[Point]
    bands: Sequence[Point] = ()
    bars: bool = False
    joined: bool = True


@dataclass(frozen=True, slots=True)
class Axes:
    """A rectangle with two linear axes.

    Attributes:
        x: range.
        y: range.
        x_label: with unit.
        y_label: with unit.
        x_ticks: where, and what is written there.
        y_ticks: likewise.
        width: of the drawing, in its own units.
        height: likewise.
        left: room for the labels of y.
    """

    x: Point
    y: Point
    x_label: str
    y_label: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    width: int = 380
    height: int = 260
    left: int = 48

    def at(self, x: float, y: float) -> Point:
        """A point of the drawing."""
        (x0, x1), (y0, y1) = self.x, self.y
        across, up = (x - x0) / (x1 - x0), (y - y0) / (y1 - y0)
        return (
            self.left + across * (self.width - self.left - 12),
            self.height - 40 - up * (self.height - 40 - 14),
        )

    def draw(self, lines: Sequence[Line], extra: str = "") -> str:
        """The drawing, with a legend where there are several lines.

        Args:
            lines: to draw.
            extra: SVG below the lines.
        """
        parts = [self._frame(), extra]
        parts += [self._line(index, line) for index, line in enumerate(lines)]
        extra_height = 0
        if len(lines) > 1:
            parts += [self._legend(index, line.name) for index, line in enumerate(lines)]
            extra_height = 14 * len(lines) + 4
        return svg(self.width, self.height + extra_height, "".join(parts))

    def _frame(self) -> str:
        (left, bottom), (right, top) = self.at(self.x[0], self.y[0]), self.at(self.x[1], self.y[1])
        parts = [path([(left, top), (left, bottom), (right, bottom)], "#333", 0.8)]
        for value, words in self.x_ticks:
            x, _ = self.at(value, self.y[0])
            parts.append(path([(x, bottom), (x, bottom + 4)], "#333", 0.8))
            parts.append(text(x, bottom + 15, words, "middle"))
        for value, words in self.y_ticks:
            _, y = self.at(self.x[0], value)
            parts.append(path([(left, y), (right, y)], "#d8d8d8", 0.5))
            parts.append(text(left - 6, y + 3.5, words, "end"))
        parts.append(text((left + right) / 2, self.height - 6, self.x_label, "middle"))
        middle = (top + bottom) / 2
        turned = f' transform="rotate(-90 11 {middle:.1f})"'
        parts.append(text(11, middle, self.y_label, "middle", turned))
        return "".join(parts)

    def _line(self, index: int, line: Line) -> str:
        color, dash = COLORS[index % len(COLORS)], DASHES[index % len(DASHES)]
        points = [self.at(*point) for point in line.points]
        parts = []
        lows = [self.at(x, low) for (x, _), (low, _) in zip(line.points, line.bands, strict=False)]
        highs = [self.at(x, up) for (x, _), (_, up) in zip(line.points, line.bands, strict=False)]
        if line.bars:
            parts += [path([a, b], color, 1) for a, b in zip(lows, highs, strict=True)]
        elif line.bands:
            around = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*lows, *reversed(highs)])
            parts.append(f'<polygon points="{around}" fill="{color}" fill-opacity="0.14"/>')
        if line.joined:
            parts.append(path(points, color, 1.4, dash))
        if line.bars or not line.joined:
            parts += [dot(x, y, color) for x, y in points]
        return "".join(parts)

    def _legend(self, index: int, name: str) -> str:
        color, dash = COLORS[index % len(COLORS)], DASHES[index % len(DASHES)]
        y = self.height + 14 * index + 8
        key = path([(self.left, y), (self.left + 24, y)], color, 1.4, dash)
        return key + text(self.left + 30, y + 3.5, name)


def ticks(low: float, high: float, count: int = 5) -> list[tuple[float, str]]:
    """Evenly spaced, with what is written there."""
    step = (high - low) / count
    return [(low + step * index, f"{low + step * index:.3g}") for index in range(count + 1)]


def svg(width: float, height: float, inside: str) -> str:
    """The drawing around its parts."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" class="plot" '
        f'font-family="Report Serif, Charter, Georgia, serif">{inside}</svg>'
    )


def path(points: Sequence[Point], color: str, width: float, dash: str = "") -> str:
    """Points joined by straight lines."""
    along = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path d="M{along}" fill="none" stroke="{color}" stroke-width="{width:g}"{dashed}/>'


def dot(x: float, y: float, color: str, radius: float = 2.4) -> str:
    """A filled circle."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{color}"/>'


def text(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    """Words at a place."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="10" fill="#222" text-anchor="{anchor}"{more}>'
        f"{escape(words)}</text>"
    )
