"""Readers of whom it is known whom they follow."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from mri_guard.determinism import generator
from mri_guard.metrics.proportion import clopper_pearson, difference
from mri_guard.metrics.reliance import MINIMUM, Figure, Read, by_reader, figures


def read(final: bool = True, *, first: bool | None = None, **fields: Any) -> Read:
    """Of a case in which the model advises abnormal; blinded where there is a first impression."""
    usual = {"reader": "user:1", "advice": True, "seconds": 60.0, "blinded": first is not None}
    return Read(**(usual | {"final": final, "first": first} | fields))


def drawn(n: int, *, follow: float, seed: int) -> list[Read]:
    """Half blinded. Without the model a reader is right in 8 of 10; shown it at once, they take its
    advice as it is with probability `follow`; after a first look never. The model is right in 7.
    """
    rng = generator(seed, "readers", n)
    reads = []
    for number in range(n):
        truth = bool(rng.random() < 0.5)
        own = truth if rng.random() < 0.8 else not truth
        advice = truth if rng.random() < 0.7 else not truth
        blinded = number % 2 == 0
        follows = not blinded and rng.random() < follow
        reads.append(
            Read(
                reader=f"user:{number % 3}",
                blinded=blinded,
                advice=advice,
                first=own if blinded else None,
                final=advice if follows else own,
                seconds=30.0 if follows else 60.0,
                truth=truth,
            )
        )
    return reads


KNOWN = [
    *[read(True, first=True, truth=True)] * 20,  # agreed at once, and right
    *[read(False, first=True, truth=True)] * 5,  # changed their minds, wrongly
    *[read(True, first=False, truth=False, sure=True)] * 12,  # followed it into the error
    *[read(False, first=False, truth=False, sure=True)] * 18,  # stood their ground
    *[read(True, first=False, truth=True)] * 20,  # were put right
    *[read(True, truth=True)] * 30,  # shown at once
    *[read(False)] * 10,
    read(True, blinded=True),  # first impression: not diagnostic
]


@pytest.mark.parametrize(
    ("name", "count", "n"),
    [
        ("agreement_rate", 83, 116),
        ("agreement_rate_blinded", 53, 76),
        ("agreement_rate_unblinded", 30, 40),
        ("override_rate", 33, 116),
        ("first_agreement_rate", 25, 75),
        ("switch_towards_rate", 32, 50),
        ("switch_towards_rate_when_sure", 12, 30),
        ("switch_away_rate", 5, 25),
        ("over_reliance_rate", 12, 30),
        ("over_reliance_rate_blinded", 12, 30),
        ("under_reliance_rate", 5, 75),
        ("under_reliance_rate_unblinded", 0, 30),
        ("relative_ai_reliance", 20, 20),
        ("relative_self_reliance", 18, 30),
    ],
)
def test_counts_known_readers(name: str, count: int, n: int) -> None:
    figure = figures(KNOWN)[name]
    assert figure.value == pytest.approx(count / n)
    assert figure.n == n
    assert (figure.low, figure.high) == clopper_pearson(count, n)


def test_takes_blinded_reads_from_the_others() -> None:
    figure = figures(KNOWN)["agreement_rate_shown_less_blinded"]
    assert figure.value == pytest.approx(30 / 40 - 53 / 76)
    assert (figure.low, figure.high) == difference((30, 40), (53, 76))
    assert figure.n == 40


def test_advice_may_be_normal_too() -> None:
    reads = [read(False, first=True, advice=False, truth=True)] * 30
    found = figures(reads)
    assert found["switch_towards_rate"].value == 1
    assert found["over_reliance_rate"].value == 1
    assert found["relative_self_reliance"].value == 0
    assert found["override_rate"].value == 0


def test_the_median_time_lies_in_an_exact_interval() -> None:
    """Of 21 rising values: the 6th and the 16th, as P(Bin(21, 1/2) <= 5) = 0.0133."""
    seconds = [float(second) for second in range(1, 22)]
    figure = figures([read(seconds=second) for second in seconds])["decision_seconds_unblinded"]
    assert (figure.value, figure.low, figure.high) == (11, 6, 16)
    assert binom.cdf(5, 21, 0.5) <= 0.025 < binom.cdf(6, 21, 0.5)


def test_says_that_it_cannot_tell_of_too_few() -> None:
    few = figures([read()] * (MINIMUM - 1))["agreement_rate"]
    assert few.value is None
    assert few.words == "cannot tell (n = 19, would need 20)"
    enough = figures([read()] * MINIMUM)["agreement_rate"]
    assert enough.words == "1.000 [0.832, 1.000], n = 20"
    assert all(figure.n == 0 for figure in figures([]).values())


def test_the_smallest_number_of_reads_leaves_no_more_open_than_it_says() -> None:
    widths = [high - low for low, high in (clopper_pearson(k, MINIMUM) for k in range(MINIMUM + 1))]
    assert max(widths) <= 0.46


def test_a_difference_wants_enough_of_both() -> None:
    reads = [read()] * 50 + [read(first=True)] * 19
    figure = figures(reads)["agreement_rate_shown_less_blinded"]
    assert (figure.value, figure.n) == (None, 19)


def test_each_reader_is_told_of_their_own_reads_alone() -> None:
    reads = [read(reader="user:1")] * 25 + [read(False, reader="user:2")] * 21
    reads += [read(reader="user:3")] * 5
    own = by_reader(reads)
    assert [own[reader]["agreement_rate"].value for reader in own] == [1, 0, None]


def test_finds_readers_who_follow_a_model_that_they_are_shown() -> None:
    found = figures(drawn(2000, follow=0.6, seed=1))
    shown = found["over_reliance_rate_shown_less_blinded"]
    assert shown.low is not None
    assert shown.low > 0.2  # true: 0.6 + 0.4 * 0.2 - 0.2 = 0.48
    assert found["switch_towards_rate"].value == 0
    assert found["relative_self_reliance"].value == 1


bits = st.booleans()
some_reads = st.lists(
    st.builds(
        Read,
        reader=st.sampled_from(["user:1", "user:2"]),
        blinded=bits,
        advice=bits,
        first=st.none() | bits,
        sure=bits,
        final=bits,
        seconds=st.floats(0, 1e6),
        truth=st.none() | bits,
    ),
    max_size=60,
)


@given(reads=some_reads)
def test_every_interval_holds_its_value_and_parts_add_up(reads: list[Read]) -> None:
    found = figures(reads)
    for figure in found.values():
        assert (figure.value is None) == (figure.n < MINIMUM)
        if figure.value is not None and figure.low is not None and figure.high is not None:
            assert figure.low <= figure.value <= figure.high
    assert found["agreement_rate_blinded"].n + found["agreement_rate_unblinded"].n == len(reads)
    agreed, overrode = found["agreement_rate"], found["override_rate"]
    if agreed.value is not None and overrode.value is not None:
        assert agreed.value + overrode.value == pytest.approx(1)


@given(reads=some_reads)
def test_turning_findings_round_changes_nothing(reads: list[Read]) -> None:
    """Abnormal and normal are names: only who agrees with whom counts."""

    def turned(one: Read) -> Read:
        flipped = {
            name: not getattr(one, name)
            for name in ("advice", "first", "final", "truth")
            if getattr(one, name) is not None
        }
        return one.model_copy(update=flipped)

    assert figures([turned(one) for one in reads]) == figures(reads)


def test_refuses_a_time_that_is_none() -> None:
    for seconds in (float("nan"), -1.0):
        with pytest.raises(ValueError, match="seconds"):
            read(seconds=seconds)
    with pytest.raises(ValueError, match="value"):
        Figure(value=float("nan"), n=1, definition="")
