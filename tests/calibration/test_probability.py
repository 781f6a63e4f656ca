import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.isotonic import IsotonicRegression
from venn_abers import VennAbers as Published

from mri_guard.calibration.probability import Isotonic, LabelledScores, VennAbers
from mri_guard.determinism import generator
from mri_guard.errors import NotCalibratedError

scores = st.lists(st.integers(-20, 20).map(float), min_size=1, max_size=30)


def _drawn(n: int, *use: str | int) -> LabelledScores:
    rng = generator(0, *use)
    healthy, abnormal = rng.normal(size=n).tolist(), rng.normal(1.5, 1.2, size=n // 2).tolist()
    return LabelledScores(healthy=tuple(healthy), abnormal=tuple(abnormal))


@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning")  # of the published one
@given(healthy=scores, abnormal=scores, asked=st.lists(st.integers(-25, 25), min_size=1))
def test_agrees_with_the_published_implementation(
    healthy: list[float], abnormal: list[float], asked: list[int]
) -> None:
    every = np.array([*healthy, *abnormal])
    truth = np.array([0] * len(healthy) + [1] * len(abnormal))
    assume(len(set(every)) > 1)  # with one score alone the published one gives no number
    published = Published()
    published.fit(np.column_stack([1 - every, every]), truth)
    new = np.array(asked, dtype=np.float64)
    merged, both = published.predict_proba(np.column_stack([1 - new, new]))
    ours = VennAbers.fit(healthy, abnormal)
    for score, value, (low, high) in zip(new, merged[:, 1], both, strict=True):
        found = ours(float(score))
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
        assert found.value == pytest.approx(value, abs=1e-9)


@given(healthy=scores, abnormal=scores, score=st.integers(-25, 25), higher=st.integers(-25, 25))
def test_rises_with_the_score_between_its_ends(
    healthy: list[float], abnormal: list[float], score: int, higher: int
) -> None:
    fitted = VennAbers.fit(healthy, abnormal)
    one, other = (fitted(float(value)) for value in sorted((score, higher)))
    assert one.low - 1e-12 <= one.value <= one.high + 1e-12
    assert one.low <= other.low + 1e-12
    assert one.high <= other.high + 1e-12


def test_says_less_with_fewer_labelled_scans() -> None:
    found = [VennAbers(_drawn(n, "widths", n))(0.8) for n in (8, 40, 400)]
    widths = [one.high - one.low for one in found]
    assert widths[0] > widths[1] > widths[2] > 0


def test_probabilities_come_true() -> None:
    # P(abnormal) of a score is known here; its mean over scores must lie near the mean promised.
    fitted = VennAbers(_drawn(600, "come true"))
    rng = generator(0, "come true", "new")
    ill = rng.random(3000) < 1 / 3
    new = np.where(ill, rng.normal(1.5, 1.2, 3000), rng.normal(size=3000))
    grid = np.quantile(new, np.linspace(0.01, 0.99, 60))
    told = np.interp(new, grid, [fitted(float(score)).value for score in grid])
    for low, high in ((0, 0.2), (0.2, 0.6), (0.6, 1)):
        inside = (told > low) & (told <= high)
        near = 4 * np.sqrt(0.25 / inside.sum()) + 0.05  # scatter of new and of labelled scans
        assert ill[inside].mean() == pytest.approx(told[inside].mean(), abs=near)


def test_isotonic_is_the_one_of_scikit_learn() -> None:
    labelled = _drawn(60, "isotonic")
    every = np.array([*labelled.healthy, *labelled.abnormal])
    truth = np.array([0] * 60 + [1] * 30)
    reference = IsotonicRegression(out_of_bounds="clip").fit(every, truth)
    new = np.linspace(-4, 5, 50)
    assert Isotonic(labelled)(new.tolist()) == pytest.approx(reference.predict(new), abs=1e-12)


def test_isotonic_is_certain_where_venn_abers_is_not() -> None:
    labelled = LabelledScores(healthy=(0.0, 1.0, 2.0), abnormal=(3.0, 4.0))
    assert Isotonic(labelled)([9.0])[0] == 1
    found = VennAbers(labelled)(9.0)
    assert found.low == pytest.approx(2 / 3)  # a healthy one among three
    assert found.high == 1


@pytest.mark.parametrize(("healthy", "abnormal"), [([1.0], []), ([], [1.0]), ([], [])])
def test_gives_no_probability_without_labels(healthy: list[float], abnormal: list[float]) -> None:
    with pytest.raises(NotCalibratedError, match="wants labelled scans of both kinds"):
        VennAbers.fit(healthy, abnormal)
    with pytest.raises(ValidationError):
        LabelledScores(healthy=tuple(healthy), abnormal=tuple(abnormal))


def test_refuses_a_score_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="not finite"):
        VennAbers.fit([0.0], [1.0])(float("nan"))


def test_says_what_the_probability_depends_on() -> None:
    found = VennAbers(_drawn(40, "words"))(1.0)
    assert "as frequent as among the labelled ones, 20 of 60" in str(found)
    assert 0 < found.value < 1
