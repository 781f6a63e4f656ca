"""Evidence: figures with interval, n and what is needed to make them again."""

import hashlib
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

import mri_guard
from mri_guard.metrics.bootstrap import summary
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


def resampled(
    figure: Callable[[Counts], Values], counts: Counts, n: int, unit: str, definition: str
) -> Metric | None:
    """A figure with its interval over patients; None where it does not exist on this sample.

    Args:
        figure: of how often each patient counts, (draws, patients) to (draws,).
        counts: as `patient_counts` gives it.
        n: see `Metric`.
        unit: see `Metric`.
        definition: see `Metric`.
    """
    once = np.ones((1, counts.shape[1]), dtype=np.int64)
    return bootstrapped(float(figure(once)[0]), figure(counts), n, unit, definition)


def bootstrapped(value: float, drawn: Values, n: int, unit: str, definition: str) -> Metric | None:
    """The same of the value on the sample and those on its resamples, (draws,)."""
    if not np.isfinite(value) or not np.isfinite(drawn).any():
        return None  # e.g. no two slices at like positions
    return Metric(**summary(value, drawn).model_dump(), n=n, unit=unit, definition=definition)


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
    or none, which no resample would doubt (then as if each patient were one trial).

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
    drawn = counts @ all_
    shares = np.divide(counts @ hit, drawn, out=np.full(len(drawn), np.nan), where=drawn > 0)
    return bootstrapped(value, shares, n, unit, definition)


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
