import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.monitoring.martingale import (
    BETS,
    JUMP,
    Martingale,
    MartingaleState,
    bet,
    capital_path,
)
from mri_guard.monitoring.ranks import online_p_values

STREAMS, CALIBRATION, SCANS, LEVEL = 1000, 300, 1000, 0.05


def test_bets_as_the_paper_writes_it() -> None:
    p = [0.2, 0.9, 0.4]
    capital = dict.fromkeys(BETS, 1 / len(BETS))
    path = []
    for seen in p:  # algorithm 1, line by line
        total = sum(capital.values())
        for epsilon in BETS:
            capital[epsilon] = (1 - JUMP) * capital[epsilon] + JUMP / len(BETS) * total
            capital[epsilon] *= 1 + epsilon * (seen - 0.5)
        path.append(sum(capital.values()))
    assert capital_path(np.array([p])) == pytest.approx(np.array([path]), rel=1e-12)


def test_is_a_fair_game() -> None:
    capital = np.array([0.1, 0.3, 0.0, 0.2, 0.4])
    uniform = (np.arange(1000) + 0.5) / 1000
    after = bet(np.broadcast_to(capital, (1000, 5)), uniform).sum(1)
    assert after.mean() == pytest.approx(capital.sum(), rel=1e-12)
    assert (after > 0).all()


def test_holds_villes_bound_on_online_ranks_and_not_against_a_fixed_calibration_set() -> None:
    rng = generator(0, "ville")
    scores = rng.standard_normal((STREAMS, CALIBRATION + SCANS))
    calibration = np.sort(scores[:, :CALIBRATION], axis=1)
    later = scores[:, CALIBRATION:]
    below = np.array([np.searchsorted(a, b) for a, b in zip(calibration, later, strict=True)])
    fixed = (CALIBRATION - below + rng.random(later.shape)) / (CALIBRATION + 1)

    def alarms(p: np.ndarray) -> int:
        return int((capital_path(p).max(1) >= 1 / LEVEL).sum())

    online = alarms(online_p_values(scores, CALIBRATION, rng))
    assert online <= STREAMS * LEVEL + 3 * np.sqrt(STREAMS * LEVEL * (1 - LEVEL))
    assert clopper_pearson(alarms(fixed), STREAMS)[0] > 2 * LEVEL


def test_reaches_its_limit_within_n_scans_as_seldom_as_doob_says() -> None:
    p = generator(0, "doob").random((1000, 2000))
    capital, largest = np.zeros((1000, len(BETS))), np.zeros(1000)
    for column in p.T:
        capital = bet(capital + 1 / len(BETS), column)
        largest = np.maximum(largest, capital.sum(1))
    for c in (4000, 10_000, 40_000):
        bound = 2000 / c
        assert (largest >= c).mean() <= bound + 3 * np.sqrt(bound * (1 - bound) / 1000)


def test_sums_martingales_begun_at_every_scan() -> None:
    p = generator(0, "sum").random(12)
    state = MartingaleState()
    for seen in p:
        state = Martingale(5.0)(state, seen)
    begun = [capital_path(p[None, start:])[0, -1] for start in range(len(p))]
    assert 10**state.statistic == pytest.approx(sum(begun), rel=1e-9)


@pytest.mark.parametrize("towards", [0.001, 0.999])
def test_grows_where_p_values_gather_at_one_end(towards: float) -> None:
    state = MartingaleState()
    for _ in range(3000):  # beyond what a float holds
        state = Martingale(5.0)(state, towards)
    assert state.alarm
    assert state.statistic > 100
