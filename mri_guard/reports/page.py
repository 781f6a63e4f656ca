"""The report as one HTML page: no script, no request to anywhere, the same bytes each time."""

import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from mri_guard.evaluation.evidence import Metric
from mri_guard.reports.document import Report, Source
from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.plots import plots
from mri_guard.reports.plots.picture import dot, path, svg
from mri_guard.reports.sections import SECTIONS, Section, leading, section_of
from mri_guard.reports.traceability import NONE, titles

MOST_ROWS, MOST_COLUMNS = 24, 9
"""Of a table of evidence that is printed; the larger lie in the evidence alone."""

AT_A_GLANCE = 4
"""Figures of each evidence file on the first page."""

PLOTTED = ("curves", "checks", "latency", "by_attribute", "reliability", "randomisation")
"""Tables that a plot shows."""


def page(report: Report, files: Sequence[EvidenceFile], bill: Mapping[str, Any]) -> str:
    """The page.

    Args:
        report: what it says.
        files: the evidence, for plots and tables.
        bill: of materials, as `materials` gives it.
    """
    environment = Environment(
        loader=PackageLoader("mri_guard.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "words": words,
        "whole": whole,
        "markdown": _markdown,
        "interval": _interval,
        "cell": _cell,
    }
    style = package_files("mri_guard.reports").joinpath("templates/report.css").read_text()
    own = {source.name for source in report.own}
    measured = [file for file in files if file.name in own]
    sections = [_filled(section, report, measured) for section in _sections(report)]
    return environment.get_template(
        "report.html"
    ).render(
        report=report,
        style=Markup(style),  # noqa: S704 - our own file
        sections=sections,
        latency=_pictures("latency", measured),
        glance=[
            (source, figures[:AT_A_GLANCE])
            for section in sections
            for source, figures in section["sources"]
        ],
        bill=bill,
        titles=titles(),
        none=NONE,
        anchor=anchor,
    )


def number(value: float) -> str:
    """A figure as it is printed: three decimals, four digits from a hundred on, a true minus."""
    if not math.isfinite(value):
        return "–"
    written = f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}".replace(",", "\u2009")
    return written.replace("-", "−")


def words(name: str) -> str:
    """A figure's name as it is printed: a budget `_0_5_255` as 0.5/255, else spaces."""
    budgets = re.sub(r"_(\d+)(?:_(\d+))?_255(?![0-9])", _budget, name)
    return budgets.replace("_", " ")


def _budget(found: re.Match[str]) -> str:
    return f" {found[1]}.{found[2]}/255" if found[2] else f" {found[1]}/255"


def whole(metric: Metric) -> str:
    """Value with its interval."""
    return f"{number(metric.value)} ({number(metric.low)} to {number(metric.high)})"


def _sections(report: Report) -> list[Section]:
    """The known ones, and plain ones for further kinds."""
    known = {section.kind for section in SECTIONS}
    further = sorted({source.kind for source in report.own} - known)
    return [*SECTIONS, *map(section_of, further)]


def _filled(section: Section, report: Report, files: Sequence[EvidenceFile]) -> dict[str, Any]:
    """A section with its sources, leading figures, plots and small tables."""
    sources = [source for source in report.own if source.kind == section.kind]
    own = [file for file in files if file.evidence.kind == section.kind]
    return {
        "section": section,
        "sources": [(source, _leading(source)) for source in sources],
        "pictures": _pictures(section.kind, own),
        "tables": [
            {"file": file.name, "name": name, "columns": list(rows[0]), "rows": rows}
            for file in own
            for name, rows in file.evidence.tables.items()
            if _printable(name, rows)
        ],
        "left": [
            (file.name, name, len(rows))
            for file in own
            for name, rows in file.evidence.tables.items()
            if rows and not _printable(name, rows)
        ],
    }


def _printable(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a table is small and plain enough to print, and no plot shows it."""
    if name in PLOTTED or not 0 < len(rows) <= MOST_ROWS:
        return False
    alike = all(row.keys() == rows[0].keys() for row in rows)
    plain = all(not isinstance(cell, list | dict) for row in rows for cell in row.values())
    return alike and plain and len(rows[0]) <= MOST_COLUMNS


def _leading(source: Source) -> list[tuple[str, Metric]]:
    """The figures that its section opens with; the first few where it names none of them."""
    names = leading(source.metrics, section_of(source.kind).leads) or list(source.metrics)[:8]
    return [(name, source.metrics[name]) for name in names]


def _pictures(section: str, files: Sequence[EvidenceFile]) -> list[dict[str, Any]]:
    return [
        {"svg": Markup(picture.svg), "caption": picture.caption}  # noqa: S704 - escaped where drawn
        for picture in plots(section, files)
    ]


def anchor(*parts: str) -> str:
    """Of a figure: the name of its file, then its own."""
    return "-".join("".join(c if c.isalnum() else "_" for c in part) for part in parts)


def _markdown(text: str) -> Markup:
    """Markdown of a card; HTML in it is printed as it stands, and pictures are not fetched."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return Markup(reader.render(text))  # noqa: S704 - html is off


def _interval(metric: Metric) -> Markup:
    """Value and interval on a scale of 0 to 1; nothing for what is no share."""
    if min(metric.low, metric.value) < 0 or max(metric.high, metric.value) > 1:
        return Markup("")
    width, middle = 92.0, 6.0

    def at(value: float) -> float:
        return 3 + value * (width - 6)

    parts = [
        path([(at(0), middle), (at(1), middle)], "#cfcfcf", 0.8),
        *(path([(at(end), 3), (at(end), 9)], "#cfcfcf", 0.8) for end in (0, 0.5, 1)),
        path([(at(metric.low), middle), (at(metric.high), middle)], "#0a3a5c", 2.2),
        dot(at(metric.value), middle, "#b8541f", 2.8),
    ]
    return Markup(svg(width, 12, "".join(parts)).replace('"plot"', '"whisker"'))  # noqa: S704


def _cell(value: Any) -> str:
    """A cell of a table of evidence."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    return str(value)
