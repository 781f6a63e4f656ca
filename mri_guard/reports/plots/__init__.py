"""Plots as SVG, one plot one file: each takes what evidence holds and draws, or draws nothing.

Lines differ in dash and mark as well as in colour, so that they are told apart on a grey print.
"""

from collections.abc import Callable, Sequence

from mri_guard.reports.evidence_files import EvidenceFile
from mri_guard.reports.plots.against_epsilon import against_epsilon
from mri_guard.reports.plots.curves import precision_recall, roc
from mri_guard.reports.plots.forest import forest
from mri_guard.reports.plots.latency import latency
from mri_guard.reports.plots.picture import Picture
from mri_guard.reports.plots.randomisation import randomisation
from mri_guard.reports.plots.reliability import reliability

PLOTS: dict[str, tuple[Callable[[Sequence[EvidenceFile]], list[Picture]], ...]] = {
    "detection": (roc, precision_recall),
    "robustness": (against_epsilon, forest),
    "fairness": (forest,),
    "calibration": (reliability,),
    "risks": (randomisation,),
    "latency": (latency,),
}
"""By section. A plot that finds nothing to draw draws nothing."""


def plots(section: str, files: Sequence[EvidenceFile]) -> list[Picture]:
    """What the section's plots make of its files."""
    return [picture for plot in PLOTS.get(section, ()) for picture in plot(files)]


__all__ = ["PLOTS", "Picture", "plots"]
