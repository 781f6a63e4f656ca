import numpy as np

from mri_guard.determinism import generator
from mri_guard.fairness import Rate, worst_slice

N = 1200
RNG = generator(0, "worst slice")
COLUMNS = {
    name: RNG.choice(values, N).tolist()
    for name, values in (("sex", ["F", "M"]), ("site", ["a", "b", "c"]), ("age", ["40", "60"]))
}
STRATA = np.zeros(N, dtype=np.int64)
HIDDEN = np.array(
    [sex == "F" and site == "b" for sex, site in zip(COLUMNS["sex"], COLUMNS["site"], strict=True)]
)


def rate(hits: np.ndarray) -> Rate:
    return Rate("sensitivity", hits.astype(np.float64), np.ones(N), "low", 0.05)


def test_finds_the_pair_of_columns_that_is_served_worst_and_confirms_it_on_others() -> None:
    hits = RNG.random(N) < np.where(HIDDEN, 0.5, 0.9)
    found = worst_slice(COLUMNS, rate(hits), STRATA, generator(0))
    assert found is not None
    assert found.group == "sex=F, site=b"
    assert found.confirmed
    assert found.searched_gap > 0.2
    assert found.searched + found.held_back == HIDDEN.sum()


def test_what_chance_has_found_seldom_stands_on_others() -> None:
    rng = generator(0, "fair")
    confirmed = 0
    for number in range(20):
        found = worst_slice(COLUMNS, rate(rng.random(N) < 0.9), STRATA, generator(0, number))
        assert found is None or found.searched_gap > 0
        confirmed += found is not None and found.confirmed
    assert confirmed <= 4  # a binomial of 20 at 0.05 stays there with probability 0.997


def test_finds_nothing_where_there_is_nothing() -> None:
    assert worst_slice(COLUMNS, rate(np.ones(N)), STRATA, generator(0)) is None
    assert worst_slice({}, rate(np.ones(N)), STRATA, generator(0)) is None
    few = Rate("sensitivity", np.zeros(3), np.ones(3), "low", 0.05)
    assert worst_slice({"sex": ["F", "M", "F"]}, few, np.zeros(3, np.int64), generator(0)) is None
