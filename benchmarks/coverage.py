"""How often each interval and guarantee holds, by simulation where the truth is known.

    python -m benchmarks.coverage [--draws 2000] [--json FILE]

Every row says what is claimed, at what rate, and how often it came true, with the exact 95 %
interval of that share. An interval that covers less often than stated is to be read as narrower
than it should be.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import special, stats

from mri_guard.calibration import false_positive_band, rank, workload_rank
from mri_guard.determinism import generator
from mri_guard.metrics.bootstrap import patient_counts, summary
from mri_guard.metrics.probability import BINS, Forecasts
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.metrics.ranking import pair_wins

SLICES = 12


@dataclass(frozen=True)
class Row:
    """How often one claim came true.

    Attributes:
        claim: what is claimed.
        setting: of the simulation.
        stated: share of draws that it should hold in, at least.
        held: share that it held in.
        low: lower end of the exact 95 % interval of that.
        high: upper end.
        draws: simulated.
    """

    claim: str
    setting: str
    stated: float
    held: float
    low: float
    high: float
    draws: int


def main() -> None:
    """Prints the table and, where asked, writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000, help="of what is quick")
    parser.add_argument("--resampled", type=int, default=400, help="of what is bootstrapped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    rows = []
    for row in every(options.draws, options.resampled, options.seed):
        rows.append(row)
        print(
            f"| {row.claim} | {row.setting} | {row.stated:.3f} | {row.held:.3f} "
            f"[{row.low:.3f}, {row.high:.3f}] | {row.draws} |",
            flush=True,
        )
    printed = Table("claim", "setting", "stated", "held", "draws")
    for row in rows:
        held = f"{row.held:.3f} [{row.low:.3f}, {row.high:.3f}]"
        printed.add_row(row.claim, row.setting, f"{row.stated:.3f}", held, str(row.draws))
    Console(width=120).print(printed)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def every(draws: int, resampled: int, seed: int) -> Iterator[Row]:
    """Each claim in each setting, one after the other."""
    for n, share in ((17, 0.9), (59, 0.05), (200, 0.05), (50, 0.5)):
        rng = generator(seed, "clopper-pearson", n)
        yield row("Clopper-Pearson, 95 %", f"{share:g} of {n}", 0.95, draws, _exact(n, share, rng))
    for n in (59, 120, 400):
        rng = generator(seed, "threshold", n)
        claim = "threshold: false-positive rate at most 5 %"
        yield row(claim, f"{n} healthy", 0.95, draws, _rate(n, rng))
    for n, at_most, per_day in ((120, 5, 40), (400, 5, 100)):
        rng = generator(seed, "workload", n)
        claim = f"threshold: at most {at_most} false flags of {per_day} a day"
        yield row(claim, f"{n} healthy", 0.95, draws, _day(n, at_most, per_day, rng))
    for m, n in ((119, 50), (120, 61)):
        rng = generator(seed, "band", m)
        claim = "false flags to expect, 95 % beta-binomial band"
        yield row(claim, f"{m} calibrated, {n} new", 0.95, draws, _band(m, n, rng))
    for people in (5, 8, 17, 60):
        rng = generator(seed, "share", people)
        setting = f"{people} people, {SLICES} slices each"
        yield row("bootstrap over patients: share", setting, 0.95, resampled, _share(people, rng))
        rng = generator(seed, "auroc", people)
        yield row("bootstrap over patients: AUROC", setting, 0.95, resampled, _auroc(people, rng))
    for sharpness, words in ((1.0, "true"), (1.7, "too sharp"), (3.0, "far too sharp")):
        for figure in ("calibration error", "Brier score"):
            rng = generator(seed, figure, words)
            yield row(
                f"bootstrap over patients: {figure}",
                f"200 scans, probabilities {words}",
                0.95,
                resampled,
                _forecast(200, sharpness, figure, rng),
            )


def row(claim: str, setting: str, stated: float, draws: int, once: Callable[[], bool]) -> Row:
    """The claim, simulated."""
    held = sum(once() for _ in range(draws))
    return Row(claim, setting, stated, held / draws, *clopper_pearson(held, draws), draws)


def _exact(n: int, share: float, rng: np.random.Generator) -> Callable[[], bool]:
    ends = [clopper_pearson(count, n) for count in range(n + 1)]

    def once() -> bool:
        low, high = ends[rng.binomial(n, share)]
        return low <= share <= high

    return once


def _rate(n: int, rng: np.random.Generator) -> Callable[[], bool]:
    k = rank(n, 0.05, 0.05)
    return lambda: stats.norm.sf(np.sort(rng.normal(size=n))[-k]) <= 0.05


def _day(n: int, at_most: int, per_day: int, rng: np.random.Generator) -> Callable[[], bool]:
    k = workload_rank(n, at_most, per_day, 0.05)
    return lambda: (rng.normal(size=per_day) > np.sort(rng.normal(size=n))[-k]).sum() <= at_most


def _band(m: int, n: int, rng: np.random.Generator) -> Callable[[], bool]:
    k = rank(m, 0.05, 0.05)
    low, high = false_positive_band(k, m, n)
    return lambda: low <= (rng.normal(size=n) > np.sort(rng.normal(size=m))[-k]).sum() <= high


def _share(people: int, rng: np.random.Generator) -> Callable[[], bool]:
    """Slices found, where people differ: their rates are Beta(2, 1)."""

    def once() -> bool:
        found = rng.binomial(SLICES, rng.beta(2, 1, size=people))
        drawn = patient_counts(people, rng) @ found / (people * SLICES)
        interval = summary(float(found.mean() / SLICES), drawn)
        return interval.low <= 2 / 3 <= interval.high

    return once


def _auroc(people: int, rng: np.random.Generator) -> Callable[[], bool]:
    """Slices with and without lesion, six of each of everybody, whose levels differ."""
    # Two slices of different people: the difference of two levels and two noises.
    truth = float(stats.norm.cdf(1.5 / np.sqrt(2 * (0.5**2 + 1))))

    def once() -> bool:
        level = rng.normal(0, 0.5, size=(people, 1))
        ill, well = (rng.normal(mean, 1, (people, SLICES // 2)) + level for mean in (1.5, 0.0))
        wins = pair_wins(ill.ravel(), well.ravel()).reshape(people, SLICES // 2, people, -1)
        pairs = wins.mean((1, 3))
        counts = patient_counts(people, rng) / people
        drawn = np.einsum("da,ab,db->d", counts, pairs, counts)
        interval = summary(float(pairs.mean()), drawn)
        return interval.low <= truth <= interval.high

    return once


def _forecast(
    n: int, sharpness: float, figure: str, rng: np.random.Generator
) -> Callable[[], bool]:
    """Probabilities whose logits are `sharpness` times the true ones, one scan of each person."""

    def drawn(size: int) -> tuple[np.ndarray, np.ndarray]:
        true = rng.beta(0.6, 0.9, size=size)
        return true, special.expit(sharpness * special.logit(np.clip(true, 1e-9, 1 - 1e-9)))

    true, claimed = drawn(400_000)
    place = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], claimed)
    gaps = np.bincount(place, claimed - true, minlength=BINS)
    error = float(np.abs(gaps).sum() / true.size)
    brier = float((np.square(claimed - true) + true * (1 - true)).mean())

    def once() -> bool:
        own, told = drawn(n)
        forecasts = Forecasts(told, rng.random(n) < own, np.arange(n), n)
        counts = patient_counts(n, rng)
        if figure == "calibration error":
            interval = forecasts.error_interval(counts, rng)
            return interval.low <= error <= interval.high
        drawn_scores = forecasts.brier(counts)
        interval = summary(float(forecasts.brier(np.ones((1, n), dtype=np.int64))[0]), drawn_scores)
        return interval.low <= brier <= interval.high

    return once


if __name__ == "__main__":
    main()
