import numpy as np
import pytest
from scipy import stats

from mri_guard.determinism import generator
from mri_guard.monitoring.mix import MOST_KINDS, OTHER, Mix, MixState, p_value

MIX = Mix("test", level=0.001)


def fed(state: MixState, kinds: list[str]) -> MixState:
    for kind in kinds:
        state = MIX(state, kind)
    return state


def drawn(n: int, shares: dict[str, float], seed: int = 0) -> list[str]:
    rng = generator(seed, "mix", *shares, *map(str, shares.values()))
    return list(rng.choice(list(shares), n, p=list(shares.values())))


def test_agrees_with_the_exact_distribution_of_two_kinds() -> None:
    counts = np.array([[150, 50], [30, 20]])
    # Given the margins, the window's first kind is hypergeometric; order its values by G.
    values = np.arange(51)
    probabilities = stats.hypergeom.pmf(values, 250, 180, 50)
    g = [
        stats.chi2_contingency(
            [[180 - x, 20 + x], [x, 50 - x]], correction=False, lambda_="log-likelihood"
        ).statistic
        for x in values
    ]
    exact = probabilities[np.array(g) >= g[30] - 1e-9].sum()
    found = p_value(counts, generator(0, "exact"))
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact / 9999))


def test_holds_its_level() -> None:
    rng = generator(0, "level")
    tests, level = 600, 0.05
    counts = rng.multinomial([200, 50], [0.6, 0.3, 0.07, 0.03], size=(tests, 2))
    found = [p_value(pair, rng, draws=199) for pair in counts]
    assert np.mean(np.array(found) <= level) <= level + 3 * np.sqrt(level * (1 - level) / tests)


def test_finds_a_new_scanner_in_the_next_window() -> None:
    known = fed(MixState(), drawn(250, {"siemens": 0.5, "ge": 0.5}))
    assert (known.scans, known.alarm, sum(known.before.values())) == (250, False, 250)
    after = fed(known, drawn(50, {"siemens": 0.35, "ge": 0.35, "philips": 0.3}))
    assert after.alarm
    assert after.statistic >= MIX.limit


def test_lets_a_window_that_passes_join_those_before() -> None:
    shares = {"a": 0.7, "b": 0.3}
    state = fed(MixState(), drawn(240, shares))
    assert sum(state.window.values()) == 40
    state = fed(state, drawn(10, shares, seed=1))
    assert state.window == {}
    assert sum(state.before.values()) == 250


def test_counts_no_more_kinds_than_it_may() -> None:
    state = fed(MixState(), [f"sender-{n}" for n in range(200)])
    assert len(state.before) == MOST_KINDS + 1
    assert state.before[OTHER] == 200 - MOST_KINDS


def test_gives_the_same_for_the_same_scans() -> None:
    kinds = drawn(300, {"a": 0.7, "b": 0.3})
    assert fed(MixState(), kinds) == fed(MixState(), kinds)
