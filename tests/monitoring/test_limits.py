import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError
from mri_guard.monitoring.limits import (
    RATES,
    SCANS,
    Limits,
    largest_cusum,
    largest_rate,
    per_window,
    restarted,
    shipped,
    simulate,
)


def test_ships_what_its_command_makes() -> None:
    made, kept = simulate(acceptable=(0.1,)), shipped()
    assert made.cusum == pytest.approx(kept.cusum, rel=1e-9)
    assert made.rates[0.1] == pytest.approx(kept.rates[0.1], rel=1e-9)
    settled = {"cusum", "rates"}
    assert made.model_dump(exclude=settled) == kept.model_dump(exclude=settled)
    assert tuple(kept.rates) == RATES


def test_holds_the_stated_rate_on_streams_it_was_not_simulated_on() -> None:
    rng, streams, kept = generator(1, "new streams"), 600, shipped()

    def most(alpha: float) -> float:
        return alpha + 3 * float(np.sqrt(alpha * (1 - alpha) / streams))

    z = (rng.standard_normal(streams) for _ in range(SCANS))
    assert (largest_cusum(z, streams) >= kept.cusum).mean() <= most(kept.cusum_false_alarm)
    sums = largest_rate(0.05, SCANS, streams, rng)
    assert (sums >= kept.rates[0.05]).mean() <= most(kept.false_alarm)


def test_rises_with_the_scans_and_with_how_seldom_an_alarm_may_be_false() -> None:
    def made(scans: int, cusum_false_alarm: float, false_alarm: float) -> Limits:
        return simulate(
            scans=scans,
            cusum_false_alarm=cusum_false_alarm,
            false_alarm=false_alarm,
            streams=200,
            acceptable=(0.2,),
        )

    short, long, seldom = made(200, 0.5, 0.1), made(800, 0.5, 0.1), made(200, 0.1, 0.03)
    assert short.cusum < min(long.cusum, seldom.cusum)
    assert short.rates[0.2] < min(long.rates[0.2], seldom.rates[0.2])


def test_refuses_too_few_streams() -> None:
    with pytest.raises(NotCalibratedError, match="3 healthy scores"):
        simulate(scans=10, streams=3, acceptable=())


def test_spends_the_rate_over_all_windows() -> None:
    assert per_window(50) * SCANS / 50 == pytest.approx(shipped().false_alarm)
    assert SCANS / 10 ** restarted() == pytest.approx(shipped().false_alarm)
