from dataclasses import replace

import numpy as np
import torch

from mri_guard.anomaly import Vae, VaeScorer
from mri_guard.determinism import generator
from mri_guard.evaluation.robustness.pictures import picks, saliency
from tests.evaluation.robustness.test_attacked import answer
from tests.toys import TINY, plain_fusion, toy_brain


def test_picks_slices_by_how_far_they_moved_one_of_a_scan() -> None:
    found = picks([("evade", 0, answer([4.0, 1.0], [0, 9])), ("evade", 1, answer([2.0], [5]))])
    assert set(found) == {"evade_most", "evade_median", "evade_least"}
    assert found["evade_most"] == [("evade", 0, 1), ("evade", 1, 0)]
    assert found["evade_least"][0] == ("evade", 0, 0)


def test_saliency_tells_how_fast_the_slices_score_moves() -> None:
    torch.manual_seed(0)
    scorer = VaeScorer(Vae(TINY.model).eval(), plain_fusion(0.1), TINY)
    toy = toy_brain(generator(0, "saliency"))
    z = int(toy.brain.sum(axis=(0, 1)).argmax())
    found = saliency(scorer, toy, z)
    assert not found[~toy.brain[..., z]].any()
    x, y = np.unravel_index(found.argmax(), found.shape)
    scores = []
    for step in (-1e-3, 1e-3):
        image = toy.image.copy()
        image[x, y, z] += step
        scores.append(scorer(replace(toy, image=image)).slice_scores[z])
    # Not nearer: the gradient of the scan's own spread, a median, is shared.
    np.testing.assert_allclose(abs(scores[1] - scores[0]) / 2e-3, found[x, y], rtol=0.2)
    assert not saliency(scorer, replace(toy, brain=np.zeros_like(toy.brain)), z).any()
