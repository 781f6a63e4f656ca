from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

from mri_guard.calibration.label_consistency import (
    SENDERS_ALPHA,
    UNUSUAL,
    Known,
    Label,
    Labelled,
    Screened,
    holm,
    oftener,
    screen,
)
from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError

APART = 3.0
"""Between the means of healthy and abnormal scores, each of spread 1: an AUROC of 0.98."""
NINE = Known(
    healthy=tuple(float(i) for i in range(1, 10)), abnormal=tuple(float(i) for i in range(11, 20))
)


def called(label: Label, *scores: float, sender: str = "") -> list[Labelled]:
    return [Labelled(label=label, score=score, sender=sender) for score in scores]


def p_values(screened: Screened) -> list[float | None]:
    return [label.p_value for label in screened.labels]


def drawn(n: int, rng: np.random.Generator, abnormal: float = 0.0) -> NDArray[np.float64]:
    """Scores of so many scans, the first of them abnormal to that share."""
    return rng.normal(size=n) + APART * (np.arange(n) < round(abnormal * n))


def known(n: int, rng: np.random.Generator) -> Known:
    return Known(healthy=tuple(drawn(n, rng)), abnormal=tuple(drawn(n, rng, 1.0)))


def test_holds_a_label_against_known_scans_of_its_kind() -> None:
    labels = [*called("healthy", 9.5, 5.0, 0.0), *called("abnormal", 10.5, 15.0, 30.0)]
    assert p_values(screen(labels, NINE)) == [0.1, 0.6, 1.0, 0.1, 0.6, 1.0]


def test_flags_what_the_step_up_rule_flags() -> None:
    rng = generator(0, "step up")
    for false_share in (0.05, 0.1, 0.3):
        labels = called("healthy", *drawn(60, rng, 0.2))
        screened = screen(labels, known(400, rng), false_share)
        p = np.array(p_values(screened), dtype=np.float64)
        ordered = np.sort(p)
        below = np.flatnonzero(ordered <= false_share * np.arange(1, 61) / 60 + 1e-12)
        limit = ordered[below[-1]] if len(below) else 0.0
        assert [label.flagged for label in screened.labels] == (p <= limit).tolist()
        assert 0 < sum(label.flagged for label in screened.labels) < 60


def test_holds_the_share_of_right_labels_among_the_flagged_ones() -> None:
    """And one label after the other at the same level does not."""
    rng = generator(0, "false share")
    false_share, wrong, n = 0.1, 10, 100
    shares, naive, found = [], [], []
    for _ in range(200):
        screened = screen(called("healthy", *drawn(n, rng, wrong / n)), known(400, rng))
        flagged = np.array([label.flagged for label in screened.labels])
        shares.append(flagged[wrong:].sum() / max(flagged.sum(), 1))
        found.append(flagged[:wrong].mean())
        alone = np.array(p_values(screened), dtype=np.float64) <= false_share
        naive.append(alone[wrong:].sum() / max(alone.sum(), 1))
    tolerance = 3 * float(np.std(shares)) / np.sqrt(len(shares))
    assert np.mean(shares) <= false_share + tolerance
    assert np.mean(shares) > 0.03  # it is not held by flagging nothing
    assert np.mean(found) > 0.5
    assert np.mean(naive) > 2 * false_share


def test_finds_wrong_labels_of_both_kinds() -> None:
    rng = generator(0, "both kinds")
    healthy, abnormal = drawn(100, rng, 0.05), APART - drawn(100, rng, 0.05)
    screened = screen(
        [*called("healthy", *healthy), *called("abnormal", *abnormal)], known(1000, rng), 0.2
    )
    flagged = np.array([label.flagged for label in screened.labels]).reshape(2, 100)
    assert (flagged[:, :5].sum(1) >= 2).all()
    assert flagged[:, 5:].sum() <= flagged[:, :5].sum()


def test_fewer_than_the_fewest_cannot_be_flagged() -> None:
    for doubtful in (9, 10):
        labels = called("healthy", *[9.5] * doubtful, *[0.0] * (10 - doubtful))
        screened = screen(labels, NINE)
        assert screened.fewest == 10  # 10 labels / (0.1 * 10)
        assert sum(label.flagged for label in screened.labels) == (10 if doubtful == 10 else 0)


def test_does_not_screen_labels_of_a_kind_it_knows_no_scan_of() -> None:
    labels = [*called("abnormal", -5.0, sender="b"), *called("healthy", 5.0, sender="a")]
    screened = screen(labels, Known(healthy=NINE.healthy))
    assert p_values(screened) == [None, 0.6]
    assert screened.unscreened == 1
    assert not screened.clean
    assert [one.sender for one in screened.senders] == ["a"]
    assert screen(labels[1:], Known(healthy=NINE.healthy)).clean
    nothing = screen(labels[:1], Known(healthy=NINE.healthy))
    assert (nothing.fewest, nothing.senders, nothing.clean) == (None, (), False)


def test_says_what_the_flags_claim_and_of_how_many_known_scans() -> None:
    said = screen(called("healthy", 1.0), NINE, 0.2).guarantee
    assert "at most 0.2 of the flagged labels right, on average" in said
    assert "healthy n = 9, abnormal n = 9" in said


def test_refuses_what_it_cannot_judge() -> None:
    with pytest.raises(NotCalibratedError, match="no scores of scans known"):
        screen(called("healthy", 1.0), Known())
    with pytest.raises(ValueError, match="0 labels"):
        screen([], NINE)
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(ValueError, match="a share between 0 and 1"):
            screen(called("healthy", 1.0), NINE, share)
    with pytest.raises(ValidationError):
        called("healthy", float("nan"))
    with pytest.raises(ValidationError):
        Known(healthy=(float("inf"),))


LABELS = st.lists(
    st.builds(
        Labelled,
        label=st.sampled_from(["healthy", "abnormal"]),
        score=st.integers(-3, 23).map(float),
        sender=st.sampled_from("abc"),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(LABELS, st.randoms(use_true_random=False))
def test_says_the_same_of_labels_in_any_order(labels: list[Labelled], random: object) -> None:
    order = list(range(len(labels)))
    random.shuffle(order)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    screened, other = screen(labels, NINE), screen([labels[place] for place in order], NINE)
    assert [screened.labels[place] for place in order] == list(other.labels)
    assert screened.senders == other.senders


@settings(max_examples=40, deadline=None)
@given(LABELS)
def test_flags_no_label_before_a_more_doubtful_one(labels: list[Labelled]) -> None:
    judged = screen(labels, NINE).labels
    flagged = [one.p_value for one in judged if one.flagged and one.p_value is not None]
    spared = [one.p_value for one in judged if not one.flagged and one.p_value is not None]
    assert max(flagged, default=0.0) < min(spared, default=2.0)


@settings(max_examples=40, deadline=None)
@given(st.integers(-3, 23), st.integers(-3, 23))
def test_the_further_on_the_wrong_side_the_more_doubtful(one: int, other: int) -> None:
    low, high = sorted((float(one), float(other)))
    for label, doubtful, usual in (("healthy", high, low), ("abnormal", low, high)):
        first, second = p_values(screen(called(label, doubtful, usual), NINE))  # type: ignore[arg-type]
        assert first is not None
        assert second is not None
        assert first <= second


def test_a_sender_of_one_stratum_is_judged_by_fishers_exact_test() -> None:
    rng = generator(0, "fisher")
    for _ in range(20):
        own, hit = rng.random((2, 40)) < np.array([[0.3], [0.25]])
        cells = [[(own & hit).sum(), (own & ~hit).sum()], [(~own & hit).sum(), (~own & ~hit).sum()]]
        expected = stats.fisher_exact(cells, alternative="greater").pvalue
        assert oftener(hit, own, np.repeat("healthy", 40)) == pytest.approx(expected, abs=1e-9)


def test_a_sender_of_two_strata_is_judged_by_all_ways_to_draw_who_is_hit() -> None:
    strata = np.array(list("hhhhaaaa"))
    own = np.array([True, True, False, False, True, False, False, False])
    hit = np.array([True, False, False, True, True, False, False, False])
    places = [np.flatnonzero(strata == stratum) for stratum in "ha"]
    counts = [
        sum(hit[order].astype(int)[own[place]].sum() for order, place in zip(both, places))  # noqa: B905
        for both in (
            (np.array(first), np.array(second))
            for first in permutations(places[0])
            for second in permutations(places[1])
        )
    ]
    expected = np.mean(np.array(counts) >= (own & hit).sum())
    assert oftener(hit, own, strata) == pytest.approx(float(expected), abs=1e-9)


def test_adjusts_for_all_senders() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]


def by_sender(
    rng: np.random.Generator, wrong: float, senders: int = 5, n: int = 60
) -> list[Labelled]:
    """Healthy labels of each sender; the first one's are wrong to that share."""
    return [
        one
        for number in range(senders)
        for one in called("healthy", *drawn(n, rng, 0.0 if number else wrong), sender=f"s{number}")
    ]


def accused(screened: Screened) -> list[str]:
    return [one.sender for one in screened.senders if one.flagged]


def test_accuses_an_honest_sender_no_oftener_than_it_says() -> None:
    rng = generator(0, "honest")
    draws = 200
    named = [accused(screen(by_sender(rng, 0.0, n=30), known(100, rng))) for _ in range(draws)]
    assert sum(map(bool, named)) <= stats.binom.ppf(0.999, draws, SENDERS_ALPHA)


def test_names_the_one_who_poisons_though_no_label_can_be_flagged() -> None:
    """With few known scans no single label is beyond doubt, and yet their sender is seen."""
    rng = generator(0, "poisoner")
    named = []
    for _ in range(50):
        screened = screen(by_sender(rng, 0.25), known(60, rng), 0.05)
        assert not any(label.flagged for label in screened.labels)
        named.append(accused(screened))
    assert named.count(["s0"]) >= 40


def test_senders_are_compared_with_one_another_and_not_with_the_known_scans() -> None:
    """Another scanner raises all scores: every label is doubted, and nobody accused."""
    rng = generator(0, "scanner")
    shifted = [one.model_copy(update={"score": one.score + 5}) for one in by_sender(rng, 0.0, n=40)]
    screened = screen(shifted, known(500, rng))
    assert np.mean([label.flagged for label in screened.labels]) > 0.9
    assert accused(screened) == []
    assert all(one.others is not None and one.others > 0.9 for one in screened.senders)


def test_who_sends_one_kind_of_label_alone_is_not_accused_for_it() -> None:
    """Few abnormal scans are known, so that no abnormal label can be unusual."""
    rng = generator(0, "case mix")
    few = Known(healthy=known(200, rng).healthy, abnormal=tuple(drawn(10, rng, 1.0)))
    assert UNUSUAL < 1 / 11
    draws = 100
    named = 0
    for _ in range(draws):
        labels = [
            *called("healthy", *drawn(200, rng), sender="a"),
            *called("abnormal", *drawn(200, rng, 1.0), sender="b"),
        ]
        named += bool(accused(screen(labels, few)))
    assert named <= stats.binom.ppf(0.999, draws, SENDERS_ALPHA)


def test_holds_a_lone_sender_against_nobody() -> None:
    (one,) = screen(called("healthy", *[9.5] * 50, sender="a"), NINE).senders
    assert (one.others, one.p_value, one.flagged) == (None, None, False)
    (one,) = screen(called("healthy", *[9.5] * 50, sender="a"), Known(healthy=(0.0,) * 99)).senders
    assert (one.unusual, one.n) == (50, 50)
    assert one.low < 1 == one.high
