"""How many scans it takes to notice that scores have drifted, and how often nothing was noticed.

Simulated: `--before` clean scores, of which the monitors know from the start, then scores whose
level has moved by a share of their standard deviation; monitors and limits are those that ship. A
delay is the number of moved scans up to the alarm. False alarms are counted over streams of 20,000
scans in which nothing changes, each monitor begun again after an alarm. There p-values are drawn
uniform, which is what online ranks of exchangeable scans are (`tests/monitoring/test_ranks.py`).

    OMP_NUM_THREADS=1 nice python -m benchmarks.detection_delay [--rows rows.csv] [--json out.json]

`--rows` adds a change of scanner, simulated by `benchmarks.scanner_rows`: scans are drawn from its
rows with replacement, 300 clean ones first.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import special, stats

from benchmarks.scanner_rows import CLEAN, Row, read
from mri_guard.determinism import generator
from mri_guard.monitoring import Latent, monitors, shipped
from mri_guard.monitoring.cusum import step
from mri_guard.monitoring.latent import LatentState
from mri_guard.monitoring.limits import SCANS
from mri_guard.monitoring.martingale import BETS, bet
from mri_guard.monitoring.ranks import online_p_values

Array = NDArray[np.float64]
LIMITS = shipped()
MONITORS = monitors(LIMITS)
SHIFTS = {0.25: 1200, 0.5: 500, 1.0: 200}
"""Shift in standard deviations, and for how many scans an alarm is waited for."""

SCANNER_BEFORE, SCANNER_AFTER = 300, 400


@dataclass(frozen=True, slots=True)
class Delay:
    """How soon one monitor found one change.

    Attributes:
        monitor: its name.
        change: what it was.
        before: clean scans that it knew.
        streams: simulated.
        median: scans; None where half of the streams or more raised no alarm.
        ninetieth: 90th percentile, likewise.
        missed: share of streams without an alarm in the time that was waited.
    """

    monitor: str
    change: str
    before: int
    streams: int
    median: float | None
    ninetieth: float | None
    missed: float


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """How often a monitor spoke when nothing had changed, with exact 95 % intervals (Poisson).

    Attributes:
        monitor: its name.
        scans: watched.
        alarms: raised.
        per_20000: alarms for every 20,000 scans.
        low: of that.
        high: of that.
    """

    monitor: str
    scans: int
    alarms: int
    per_20000: float
    low: float
    high: float


class Level:
    """`score_cusum` on many streams at once."""

    name = "score_cusum"

    def __init__(self, streams: int) -> None:
        self.upper, self.lower = np.zeros((2, streams))

    def __call__(self, p: Array) -> NDArray[np.bool_]:
        """Which streams raise an alarm; they begin again."""
        z = -special.ndtri(p)
        self.upper, self.lower = step(self.upper, self.lower, z, LIMITS.allowance)
        raised = np.maximum(self.upper, self.lower) >= MONITORS[self.name].limit
        self.upper[raised] = self.lower[raised] = 0
        return raised


class Betting:
    """`score_martingale` on many streams at once."""

    name = "score_martingale"

    def __init__(self, streams: int) -> None:
        self.capital = np.zeros((streams, len(BETS)))

    def __call__(self, p: Array) -> NDArray[np.bool_]:
        """Which streams raise an alarm; they begin again."""
        self.capital = bet(self.capital + 1 / len(BETS), p)
        raised = np.log10(self.capital.sum(1)) >= MONITORS[self.name].limit
        self.capital[raised] = 0
        return raised


KINDS: tuple[Callable[[int], Level | Betting], ...] = (Level, Betting)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=int, nargs="*", default=[131, 300, 1000])
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, help="of benchmarks.scanner_rows")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    delays = [
        delay
        for before in options.before
        for shift, after in SHIFTS.items()
        for delay in shifted(options.seed, before, shift, after, options.streams)
    ]
    if options.rows:
        delays += scanner_change(options.seed, read(options.rows), options.streams)
    wrong = false_alarms(options.seed, options.streams)
    Console(width=110).print(delay_table(delays), alarm_table(wrong))
    if options.json:
        found = {"delays": list(map(asdict, delays)), "false_alarms": list(map(asdict, wrong))}
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def shifted(seed: int, before: int, shift: float, after: int, streams: int) -> list[Delay]:
    """Delays of the monitors of scores after a shift of normal scores."""
    rng = generator(seed, "detection delay", before, str(shift))
    scores = rng.standard_normal((streams, before + after))
    scores[:, before:] += shift
    p = online_p_values(scores, before, rng)
    return [delay(kind(streams), p, f"{shift:g} SD", before) for kind in KINDS]


def delay(monitor: Level | Betting, p: Array, change: str, before: int) -> Delay:
    """Of one monitor, from the p-values after the change, (streams, scans)."""
    first = np.full(len(p), np.inf)
    for number, column in enumerate(p.T, 1):
        first[monitor(column) & np.isinf(first)] = number
    return summary(monitor.name, change, before, first)


def summary(monitor: str, change: str, before: int, first: Array) -> Delay:
    """From the scan that raised the alarm in each stream, infinite where none did."""
    middle, late = np.quantile(first, [0.5, 0.9], method="higher")
    return Delay(
        monitor=monitor,
        change=change,
        before=before,
        streams=len(first),
        median=float(middle) if np.isfinite(middle) else None,
        ninetieth=float(late) if np.isfinite(late) else None,
        missed=float(np.isinf(first).mean()),
    )


def false_alarms(seed: int, streams: int) -> list[FalseAlarms]:
    """Of the monitors of scores, on p-values of scans that do not change."""
    found = []
    for kind in KINDS:
        rng, monitor = generator(seed, "false alarms"), kind(streams)
        alarms = sum(int(monitor(rng.random(streams)).sum()) for _ in range(SCANS))
        low = stats.chi2.ppf(0.025, 2 * alarms) / 2 if alarms else 0.0
        rates = np.array([alarms, low, stats.chi2.ppf(0.975, 2 * alarms + 2) / 2]) / streams
        found.append(FalseAlarms(monitor.name, streams * SCANS, alarms, *rates.tolist()))
    return found


def scanner_change(seed: int, rows: list[Row], streams: int) -> list[Delay]:
    """Delays after all scans come from another scanner."""
    by_scanner: dict[str, list[Row]] = {}
    for row in rows:
        by_scanner.setdefault(row.scanner, []).append(row)
    clean = by_scanner.pop(CLEAN)
    found = []
    for scanner, changed in by_scanner.items():
        rng = generator(seed, "scanner change", scanner)
        picked = [drawn(rng, clean, changed) for _ in range(streams)]
        scores = np.array([[row.score for row in stream] for stream in picked])
        p = online_p_values(scores, SCANNER_BEFORE, rng)
        change = f"{scanner}, n = {len(changed)}"
        found += [delay(kind(streams), p, change, SCANNER_BEFORE) for kind in KINDS]
        latent = [latent_delay(stream) for stream in picked]
        found.append(summary("latent_mmd", change, SCANNER_BEFORE, np.array(latent)))
    return found


def drawn(rng: np.random.Generator, clean: list[Row], changed: list[Row]) -> list[Row]:
    """A stream whose scanner changes."""
    before = rng.integers(len(clean), size=SCANNER_BEFORE)
    after = rng.integers(len(changed), size=SCANNER_AFTER)
    return [clean[i] for i in before] + [changed[i] for i in after]


def latent_delay(stream: list[Row]) -> float:
    """Scans after the change up to the alarm of the shipped monitor of latents."""
    monitor, state = MONITORS["latent_mmd"], LatentState()
    assert isinstance(monitor, Latent)
    for number, row in enumerate(stream, 1):
        state = monitor(state, row.latents)
        if state.alarm:
            return float(max(0, number - SCANNER_BEFORE))
    return np.inf


def delay_table(delays: list[Delay]) -> Table:
    """For people."""
    made = Table(title="Scans from the change to the alarm")
    for column in ("change", "monitor", "clean before", "streams", "median", "90 %", "missed"):
        made.add_column(column, justify="left" if column in ("change", "monitor") else "right")
    for one in delays:
        times = ("-" if t is None else f"{t:.0f}" for t in (one.median, one.ninetieth))
        counts = str(one.before), str(one.streams)
        made.add_row(one.change, one.monitor, *counts, *times, f"{one.missed:.3f}")
    return made


def alarm_table(found: list[FalseAlarms]) -> Table:
    """For people."""
    made = Table(title="False alarms where nothing changes")
    for column in ("monitor", "scans", "alarms", "per 20,000 scans", "95 %"):
        made.add_column(column, justify="right")
    for one in found:
        interval = f"{one.low:.3f}-{one.high:.3f}"
        made.add_row(one.monitor, str(one.scans), str(one.alarms), f"{one.per_20000:.3f}", interval)
    return made


if __name__ == "__main__":
    main()
