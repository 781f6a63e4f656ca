import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.attacks import Direction
from mri_guard.evaluation.detection import counted
from mri_guard.under_attack import slices_of

SLICES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12)
"""Of each slice: is there lesion, and is there a score."""


@given(slices=SLICES, direction=st.sampled_from(["evade", "alarm"]))
def test_counts_every_slice_that_attackers_push(
    slices: list[tuple[bool, bool]], direction: Direction
) -> None:
    # Or their scores would be put down to slices that stand beside them.
    ill, scored = (np.array(each) for each in zip(*slices, strict=True))
    pushed = slices_of(ill[None, None], direction) & scored
    assert not (pushed & ~counted(ill, np.where(scored, 1.0, np.nan))).any()
