"""Charts as markup: SVG without styles of its own, in two widths, so that its letters stay 12 px on a phone.

All amounts come in fen and are drawn in 万元; every text is given by the caller, in the reader's language. The finding
is the `aria-label`; the numbers themselves belong into a table beside the chart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from marketplace.values import ratio_bp, yuan

HUNDREDTH_OF_WAN = 10_000  # fen
METER_SCALE_BP = 12_500
_NOTHING = Markup("")


@dataclass(frozen=True)
class Canvas:
    """One of the two widths: its class, size, and the margins of the plot."""

    name: str
    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    @property
    def base(self) -> int:
        return self.height - self.bottom

    def x(self, part: float) -> float:
        return self.left + part * (self.width - self.left - self.right)

    def y(self, part: float) -> float:
        return self.base - part * (self.base - self.top)


WIDE = Canvas("wide", 560, 246, 52, 16, 14, 26)
NARROW = Canvas("narrow", 330, 210, 40, 8, 14, 24)


def wan_text(amount_fen: int) -> str:
    """'2,343.63', half up."""
    return yuan(ratio_bp(amount_fen, 10_000 * HUNDREDTH_OF_WAN) or 0)


def nice_top(most: int, steps: int = 4) -> int:
    """The end of an axis from 0 that holds `most` in `steps` round steps: 1, 2, 2.5 or 5 times a power of ten."""
    step, power = 1, 1
    while True:
        for tenths in (10, 20, 25, 50):
            step = power * tenths // 10
            if power * tenths % 10 == 0 and step * steps >= most:
                return step * steps
        power *= 10


def _tick(hundredths: int) -> str:
    """An axis value in 万元 without idle zeros."""
    text = yuan(hundredths)
    return text.rstrip("0").rstrip(".") if "." in text else text


def meter(
    done_bp: int | None,
    *,
    mark_bp: int | None = 10_000,
    way_bp: int = 0,
    scale_bp: int = METER_SCALE_BP,
    label: str | None = None,
) -> Markup:
    """A bar of 0 to `scale_bp`: done, then on its way, a mark, and beyond 100 % a gap and a darker piece.

    Without `label` it is decoration beside a number.
    """

    def at(bp: int) -> float:
        return min(bp, scale_bp) * 1000 / scale_bp

    done = max(0, done_bp or 0)
    parts = [_rect("f-count", 0, at(min(done, 10_000)))]
    if way_bp > 0:
        parts.append(_rect("f-way", at(done) + 3, max(0.0, at(done + way_bp) - at(done) - 3)))
    if done > 10_000:
        parts += [_rect("f-over", at(10_000), at(done) - at(10_000)), _rect("f-gap", at(10_000) - 4, 10)]
    elif mark_bp is not None:
        parts.append(_rect("f-mark", min(at(mark_bp) - 4, 992), 8))
    named = (
        Markup(' role="img" aria-label="{}"').format(label)
        if label is not None
        else Markup(' aria-hidden="true"')
    )
    return Markup(
        '<svg class="meter meter--s" viewBox="0 0 1000 8" preserveAspectRatio="none"{}>{}</svg>'
    ).format(named, _NOTHING.join(parts))


def _rect(name: str, x: float, width: float) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" width="{:.1f}" height="8"/>').format(name, x, width)


@dataclass(frozen=True)
class ProgressWords:
    """`finding` says what the chart shows; `counted` and `planned` are short labels at its end; `months` are twelve."""

    finding: str
    counted: str
    planned: str
    months: Sequence[str]


def progress(
    year: int, cumulated_fen: Sequence[int], through: date, goal_fen: int, words: ProgressWords
) -> Markup:
    """What has counted by the end of each month of a year until `through`, against an even plan to `goal_fen`.

    `cumulated_fen` has one sum per month, the last one that of `through`; a goal of 0 draws no plan.
    """
    days = (date(year + 1, 1, 1) - date(year, 1, 1)).days
    ends = [_month_end(year, n + 1) for n in range(len(cumulated_fen))]
    if ends:
        ends[-1] = min(ends[-1], through)
    points = [
        (((end - date(year, 1, 1)).days + 1) / days, fen)
        for end, fen in zip(ends, cumulated_fen, strict=True)
    ]
    top = nice_top(max(1, *(fen // HUNDREDTH_OF_WAN for fen in (goal_fen, *cumulated_fen))))
    return _both(words.finding, lambda canvas: _progress_parts(canvas, points, goal_fen, top, words))


def _month_end(year: int, month: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1)
    return date.fromordinal(following.toordinal() - 1)


def _both(finding: str, parts: Callable[[Canvas], Sequence[Markup]]) -> Markup:
    drawn = [
        Markup('<svg class="chart {}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            canvas.name, canvas.width, canvas.height, finding, _NOTHING.join(parts(canvas))
        )
        for canvas in (WIDE, NARROW)
    ]
    return _NOTHING.join(drawn)


def _progress_parts(
    canvas: Canvas, points: Sequence[tuple[float, int]], goal_fen: int, top: int, words: ProgressWords
) -> list[Markup]:
    def y(fen: int) -> float:
        return canvas.y(fen / (top * HUNDREDTH_OF_WAN))

    parts = _grid(canvas, top)
    line = [(canvas.x(0), y(0))] + [(canvas.x(part), y(fen)) for part, fen in points]
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in line)
    end_x, end_y = line[-1]
    area = f"{path} {end_x:.1f},{canvas.base:.1f}"
    parts.append(Markup('<polygon class="f-way" fill-opacity=".22" points="{}"/>').format(area))
    if goal_fen:
        parts.append(
            Markup('<line class="plan" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
                canvas.x(0), y(0), canvas.x(1), y(goal_fen)
            )
        )
    parts.append(Markup('<polyline class="line" points="{}"/>').format(path))
    parts.append(Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format(end_x, end_y))
    if points:
        parts += _end_labels(canvas, points[-1][0], end_x, end_y, y, goal_fen, words)
    every = 1 if canvas is WIDE else 2
    for n, name in enumerate(words.months):
        if n % every == 0:
            parts.append(_text(canvas.x((n + 0.5) / 12), canvas.base + 18, name, "middle"))
    return parts


def _end_labels(
    canvas: Canvas,
    part: float,
    end_x: float,
    end_y: float,
    y: Callable[[int], float],
    goal_fen: int,
    words: ProgressWords,
) -> list[Markup]:
    """The two values at the end of the line, on the side where there is room, apart from each other."""
    anchor, x = ("end", end_x - 10) if part > 0.35 else ("start", end_x + 10)
    plan_y = y(round(goal_fen * part)) if goal_fen else canvas.base
    below = end_y >= plan_y or not goal_fen
    counted_y = end_y + 20 if below and end_y + 24 < canvas.base else end_y - 12
    labels = []
    if goal_fen and words.planned:
        planned_y = plan_y - 10 if below else plan_y + 20
        if abs(planned_y - counted_y) < 15:
            planned_y = counted_y - 16 if below else counted_y + 16
        labels.append(_text(x, min(max(planned_y, 11), canvas.base - 6), words.planned, anchor))
    labels.append(_text(x, min(max(counted_y, 11), canvas.base - 6), words.counted, anchor, "val"))
    return labels


def _grid(canvas: Canvas, top: int, steps: int = 4) -> list[Markup]:
    parts = []
    for n in range(steps + 1):
        y = canvas.y(n / steps)
        name = "grid" if n else "axis"
        parts.append(
            Markup('<line class="{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                name, canvas.left, canvas.width - canvas.right, y, y
            )
        )
        parts.append(_text(canvas.left - 8, y + 4, _tick(top * n // steps), "end"))
    return parts


def _text(x: float, y: float, text: str, anchor: str, name: str = "", lang: str | None = None) -> Markup:
    kind = Markup(' class="{}"').format(name) if name else _NOTHING
    if lang is not None:
        kind += Markup(' lang="{}"').format(lang)
    return Markup('<text{} x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(kind, x, y, anchor, text)


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart: its name, its part of the longest possible bar (0 to 10,000), and the text at its end.

    `lang` is that of the name, where it is not the page's.
    """

    name: str
    part_bp: int
    shown: str
    low: bool = False
    lang: str | None = "zh-Hans"


def bars(rows: Sequence[Bar], finding: str, *, mark_bp: int | None = None) -> Markup:
    """Horizontal bars in the order given, each with its name and value; `mark_bp` draws a goal across all of them."""
    drawn = []
    for name, width, left, right in (("wide", 460, 130, 64), ("narrow", 330, 104, 64)):
        height = 28 * len(rows) + 8
        plot = width - left - right
        parts = []
        for n, row in enumerate(rows):
            y = 28 * n + 6
            length = max(0, min(row.part_bp, 10_000)) * plot / 10_000
            parts += [
                _text(left - 8, y + 14, _cut(row.name, 10 if name == "wide" else 7), "end", lang=row.lang),
                Markup('<rect class="{}" x="{}" y="{}" width="{:.1f}" height="18"/>').format(
                    "f-low" if row.low else "f-count", left, y, length
                ),
                _text(left + length + 6, y + 14, row.shown, "start", "val"),
            ]
        if mark_bp is not None and rows:
            x = left + mark_bp * plot / 10_000
            parts.append(
                Markup('<line class="plan" x1="{:.1f}" x2="{:.1f}" y1="2" y2="{}"/>').format(x, x, height - 4)
            )
        drawn.append(
            Markup('<svg class="chart {}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
                name, width, height, finding, _NOTHING.join(parts)
            )
        )
    return _NOTHING.join(drawn)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
