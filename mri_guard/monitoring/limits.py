"""Limits from simulation, at a stated rate of false alarms over a stated number of scans.

Among exchangeable scans the normal scores that `Cusum` is fed are independent and standard normal,
at every site; so its limit is found on random numbers. That of `Rate` is found on coin tosses with
each acceptable rate. The largest statistic of each of many streams is a score like any other, and
the limit is the threshold that holds its rate with confidence (`calibration.exact_threshold`), not
the plain quantile. `Martingale`, `Mix` and `Latent` hold theirs by a theorem.

    python -m mri_guard.monitoring

makes what `shipped` reads.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mri_guard.calibration import exact_threshold
from mri_guard.determinism import generator
from mri_guard.monitoring import cusum, rates
from mri_guard.records import Finite, PValue, Record

SCANS = 20_000
CUSUM_FALSE_ALARM = 0.45
FALSE_ALARM = 0.045
"""Probability that a monitor raises a false alarm within `SCANS` scans: the CUSUM, which is to be
quick, and each of the eight others. Begun again after each, one raises -log(1 - probability) of
them; all together fewer than one."""

DELTA = 0.05
"""Probability that a simulated limit holds a larger one, over the draw of the streams."""

STREAMS = 2000
ALLOWANCE = 0.25
RATES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SHIPPED = Path(__file__).with_name("limits.json")
COMMAND = "python -m mri_guard.monitoring"


class Limits(Record):
    """Simulated limits, and what they were simulated for.

    Attributes:
        command: that makes them again.
        seed: root seed.
        scans: so many are watched.
        cusum_false_alarm: probability of one or more within them, of the CUSUM.
        false_alarm: the same, of each other monitor.
        delta: probability that a limit holds a larger one.
        streams: simulated.
        allowance: of the CUSUM.
        cusum: its limit.
        rates: limit of the Bernoulli CUSUM, by acceptable rate.
    """

    command: str
    seed: int
    scans: int
    cusum_false_alarm: PValue
    false_alarm: PValue
    delta: PValue
    streams: int
    allowance: Finite
    cusum: Finite
    rates: dict[float, Finite]


def simulate(
    seed: int = 0,
    *,
    scans: int = SCANS,
    cusum_false_alarm: float = CUSUM_FALSE_ALARM,
    false_alarm: float = FALSE_ALARM,
    streams: int = STREAMS,
    acceptable: tuple[float, ...] = RATES,
) -> Limits:
    """All limits; the same for the same arguments.

    Raises:
        NotCalibratedError: too few streams for so rare an alarm.
    """

    def limit(largest: NDArray[np.float64], alpha: float) -> float:
        held = exact_threshold(largest.tolist(), alpha, DELTA)
        return float(np.nextafter(held, np.inf))  # an alarm is raised at the limit already

    rng = generator(seed, "limits", "cusum")
    z = (rng.standard_normal(streams) for _ in range(scans))
    return Limits(
        command=COMMAND,
        seed=seed,
        scans=scans,
        cusum_false_alarm=cusum_false_alarm,
        false_alarm=false_alarm,
        delta=DELTA,
        streams=streams,
        allowance=ALLOWANCE,
        cusum=limit(largest_cusum(z, streams), cusum_false_alarm),
        rates={
            rate: limit(
                largest_rate(rate, scans, streams, generator(seed, "limits", str(rate))),
                false_alarm,
            )
            for rate in acceptable
        },
    )


def largest_cusum(columns: Iterator[NDArray[np.float64]], streams: int) -> NDArray[np.float64]:
    """Largest statistic of each stream, from the normal scores of all streams scan by scan."""
    upper, lower, largest = np.zeros((3, streams))
    for z in columns:
        upper, lower = cusum.step(upper, lower, z, ALLOWANCE)
        largest = np.maximum(largest, np.maximum(upper, lower))
    return largest


def largest_rate(
    rate: float, scans: int, streams: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Largest sum of each of many streams in which something happens at its acceptable rate."""
    total, largest = np.zeros((2, streams))
    for _ in range(scans):
        total = rates.step(total, (rng.random(streams) < rate).astype(np.float64), rate)
        largest = np.maximum(largest, total)
    return largest


def per_window(window: int) -> float:
    """Level of each test of a window, so that all within `SCANS` raise `FALSE_ALARM` at most."""
    return FALSE_ALARM * window / SCANS


def restarted() -> float:
    """log10 of what the sum of restarted martingales reaches within `SCANS` scans with probability
    `FALSE_ALARM` at most (Doob).
    """
    return float(np.log10(SCANS / FALSE_ALARM))


def shipped() -> Limits:
    """Limits as they come with the package."""
    return Limits.model_validate_json(SHIPPED.read_bytes())
