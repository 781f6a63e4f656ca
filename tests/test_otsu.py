import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.otsu import otsu


def test_thresholds_between_two_values() -> None:
    values = np.repeat(np.array([1.0, 9.0], np.float32), (300, 100))
    assert 1 < otsu(values) < 9


@given(st.lists(st.integers(0, 9), min_size=2, max_size=60).filter(lambda some: len(set(some)) > 1))
def test_parts_the_classes_that_differ_most(some: list[int]) -> None:
    values = np.array(some, dtype=np.float32)

    def between(threshold: float) -> float:
        dim, bright = values[values < threshold], values[values >= threshold]
        return float(len(dim) * len(bright) * (dim.mean() - bright.mean()) ** 2)

    cuts = [(a + b) / 2 for a, b in zip(sorted(set(some)), sorted(set(some))[1:], strict=False)]
    assert np.isclose(between(otsu(values)), max(map(between, cuts)), rtol=0.05)
