"""Evidence: figures with interval, n and what is needed to make them again."""

import hashlib
import math
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

import mri_guard
from mri_guard.metrics.bootstrap import FEWEST, summary
from mri_guard.metrics.by_patient import Counts, Values
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.records import Finite, Record


class Metric(Record):
    """One figure.

    Attributes:
        value: on the sample.
        low: lower end of its 95 % interval.
        high: upper end.
        n: what was counted, see `unit`.
        unit: of n, e.g. `patients`.
        definition: how it is computed, in words.
    """

    value: Finite
    low: Finite
    high: Finite
    n: int = Field(ge=0)
    unit: str
    definition: str


def proportion(count: int, n: int, definition: str) -> Metric:
    """A share of n scans, at least one, with its exact interval."""
    low, high = clopper_pearson(count, n)
    return Metric(value=count / n, low=low, high=high, n=n, unit="scans", definition=definition)


def suffix(of_255: float) -> str:
    """How a budget, in 255ths of normalised intensity, ends a figure's name: `4_255`, `0_5_255`; no
    point, so that half a 255th makes a name too.
    """
    return f"{round(of_255, 6):g}".replace(".", "_") + "_255"


class Measured(Record):
    """What one evaluation measured, and what is needed to measure it again; see `Evidence`."""

    kind: str
    command: str
    bundle_digest: str
    manifest_digest: str
    code_version: str
    seed: int
    machine: str
    metrics: dict[str, Metric]


class Evidence(Measured):
    """What one evaluation found.

    Attributes:
        kind: of evaluation: `detection`, `robustness`, ...
        command: that makes it again.
        bundle_digest: of the bundle that was assessed.
        manifest_digest: SHA-256 of the manifest, hex.
        code_version: of this package: its version and the digest of its source.
        seed: root seed.
        machine: what it ran on.
        metrics: by name.
        tables: rows that stand beside them, JSON types alone.
    """

    tables: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Evidence":
        """Evidence from JSON, every field checked."""
        return cls.model_validate_json(path.read_bytes())


Range = tuple[float, float]

SHARE: Range = (0.0, 1.0)
"""What a share, an AUROC or an overlap lies between."""
SIGNED: Range = (-1.0, 1.0)
"""What a correlation, or a difference of two shares, lies between."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A figure on a sample of patients and on others like it.

    Attributes:
        value: on the sample; NaN where it does not exist.
        without: float64, (patients,), on the sample without each of them.
        draws: float64, (draws,), on its resamples.
    """

    value: float
    without: Values
    draws: Values

    @classmethod
    def of(cls, figure: Callable[[Counts], Values], counts: Counts) -> "Drawn":
        """Of a figure as a function of how often each patient counts.

        Args:
            figure: (n, patients) to (n,).
            counts: as `patient_counts` gives it.
        """
        patients = counts.shape[1]
        once = np.ones((1, patients), dtype=np.int64)
        without = once - np.eye(patients, dtype=np.int64)
        alone = np.full(1, np.nan)  # without its one patient there is no figure
        return cls(
            float(figure(once)[0]), figure(without) if patients > 1 else alone, figure(counts)
        )

    def __sub__(self, other: "Drawn") -> "Drawn":
        """The difference, paired by patient."""
        return Drawn(
            self.value - other.value, self.without - other.without, self.draws - other.draws
        )


def resampled(
    figure: Callable[[Counts], Values],
    counts: Counts,
    n: int,
    unit: str,
    definition: str,
    *,
    within: Range | None = SHARE,
) -> Metric | None:
    """A figure with its interval over patients; None where it does not exist on this sample.

    Args:
        figure: of how often each patient counts, (draws, patients) to (draws,).
        counts: as `patient_counts` gives it.
        n: see `Metric`.
        unit: see `Metric`.
        definition: see `Metric`.
        within: see `bootstrapped`.
    """
    return bootstrapped(Drawn.of(figure, counts), n, unit, definition, within=within)


def bootstrapped(
    found: Drawn, n: int, unit: str, definition: str, *, within: Range | None = SHARE
) -> Metric | None:
    """A figure with its percentile interval; None where it does not exist.

    Resamples of fewer than `FEWEST` patients are too much alike to tell anything: a figure that
    hangs on so few has all that it could be for its interval, and says so. What no resample doubts
    has an exact one over as many trials as there are patients: a share of all or of nothing, and a
    difference that none of them shows, which others may, either way.

    Args:
        found: the figure.
        n: see `Metric`.
        unit: see `Metric`.
        definition: see `Metric`.
        within: what such a figure lies between; None where that has no ends.
    """
    if not np.isfinite(found.value) or not np.isfinite(found.draws).any():
        return None  # e.g. no two slices at like positions
    patients = len(found.without)
    matter = int(patients - np.isclose(found.without, found.value, rtol=0, atol=1e-12).sum())
    interval = summary(found.value, found.draws)
    # Where resamples are biased they may leave the value itself out.
    low, high = min(interval.low, found.value), max(interval.high, found.value)
    trials = max(1, min(n, patients))
    # Resamples without any of so many patients, e.g. of all those with a lesion.
    missed = float(np.isnan(found.draws).mean()) > math.exp(-FEWEST)
    few = patients < FEWEST or missed or (within is not None and 0 < matter < FEWEST)
    if within == SHARE and not matter and found.value in SHARE:
        low, high = clopper_pearson(round(found.value * trials), trials)
    elif few and within is not None:
        low, high = within
        definition += f"; hangs on fewer than {FEWEST} patients, it could be anything"
    elif few:
        definition += f"; hangs on fewer than {FEWEST} patients, the interval says little"
    elif within == SIGNED and not np.nan_to_num(found.draws).any():
        high = clopper_pearson(0, trials)[1]
        low = -high
    return Metric(value=found.value, low=low, high=high, n=n, unit=unit, definition=definition)


def share_of(
    hits: NDArray[np.bool_],
    of: NDArray[np.bool_],
    patient: NDArray[np.int64],
    counts: Counts,
    *,
    unit: str,
    definition: str,
) -> Metric | None:
    """A share with its interval over patients: exact where each has one, and where all of it is hit
    or none, which no resample would doubt (then as if each patient were one trial); else as
    `bootstrapped` has it.

    Args:
        hits: bool, (n,).
        of: bool, (n,); None where there are none.
        patient: int64, (n,), index of the patient.
        counts: as `patient_counts` gives it.
        unit: see `Metric`.
        definition: see `Metric`.
    """
    n, patients = int(of.sum()), len(np.unique(patient[of]))
    if not n:
        return None
    hit, all_ = (np.bincount(patient[some], minlength=counts.shape[1]) for some in (hits & of, of))
    value = float(hit.sum() / n)
    if n == patients or value in (0.0, 1.0):
        low, high = clopper_pearson(round(value * patients), patients)
        return Metric(value=value, low=low, high=high, n=n, unit=unit, definition=definition)

    def share(some: Counts) -> Values:
        drawn = some @ all_
        shares = np.full(len(drawn), np.nan)
        return np.asarray(np.divide(some @ hit, drawn, out=shares, where=drawn > 0))

    return resampled(share, counts, n, unit, definition)


def code_version() -> str:
    """Version of the package and the first 12 digits of the SHA-256 of its source."""
    root = Path(mri_guard.__path__[0])
    sha = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        sha.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return f"{version('mri-guard')}+{sha.hexdigest()[:12]}"


def machine() -> str:
    """Processor, cores in use, Python and PyTorch; no host name."""
    return (
        f"{platform.machine()}, {torch.get_num_threads()} threads, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    )
