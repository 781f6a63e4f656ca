from dataclasses import replace

import numpy as np
import pytest
import torch

from mri_guard.anomaly import Vae, VaeScorer, tensors
from mri_guard.decision import ThresholdPolicy
from mri_guard.defences import BitDepth, Median
from mri_guard.errors import SettingsError
from mri_guard.evaluation.robustness.watched import filtered, hidden, statistic
from mri_guard.journey import Kit
from mri_guard.perturbation.detectors import (
    DETECTORS,
    FeatureSqueezing,
    Fragility,
    HighFrequency,
    Learnt,
)
from mri_guard.perturbation.joint import JointRule
from mri_guard.training.perturbation import with_signs
from tests.perturbation.scans import noisy
from tests.test_journey import KIT
from tests.toys import TINY, plain_fusion

SCAN, SEEN = noisy(np.random.default_rng(1))


@pytest.fixture(scope="module")
def kit() -> Kit:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Vae(TINY.model).state_dict()
    scorer = VaeScorer.from_tensors(TINY, state, plain_fusion().tensors())
    detectors = (
        HighFrequency(()),
        Learnt((), (8.0, 1.0, 0.0, -2.0)),
        FeatureSqueezing(()),
        Fragility(()),
    )
    anomaly = scorer(SEEN)
    rng = np.random.default_rng(2)
    clean = {}
    for detector, spread in zip(detectors, (0.1, 1.0, 0.3, 0.3), strict=True):
        middle = detector.statistic(SCAN, SEEN, anomaly, scorer)
        clean[detector.name] = tuple(middle + spread * rng.standard_normal(100))
    return replace(
        KIT,
        scorer=scorer,
        detectors=tuple(replace(one, calibration=clean[one.name]) for one in detectors),
        combine=JointRule.fit(clean, {kind.name: kind.resolution for kind in DETECTORS}, 0.05),
        policy=ThresholdPolicy(perturbation_alpha=0.05, urgent_p_value=0.01),
    )


def test_median_filter_is_the_one_of_the_defences() -> None:
    image, _ = tensors(SEEN, "cpu")
    known, _ = tensors(replace(SEEN, image=Median(3)(SEEN.image)), "cpu")
    assert torch.equal(filtered(image, 3), known)


def test_gives_the_statistics_of_the_journey(kit: Kit) -> None:
    image, _ = tensors(SEEN, "cpu")
    anomaly = kit.scorer(SEEN)
    for detector in kit.detectors:
        known = detector(SCAN, SEEN, anomaly, kit.scorer).statistic
        found = statistic(detector, kit, SCAN, SEEN)(image)
        assert float(found) == pytest.approx(known, rel=1e-4, abs=1e-5), detector.name


def test_is_positive_just_where_the_joint_rule_does_not_hold_the_scan(kit: Kit) -> None:
    margins = hidden(kit, SCAN, SEEN)
    held = []
    for epsilon in (0.0, 0.005, 0.01, 0.02, 0.05):
        changed = with_signs(SEEN, epsilon, np.random.default_rng(3))
        anomaly = kit.scorer(changed)
        results = [detect(SCAN, changed, anomaly, kit.scorer) for detect in kit.detectors]
        held.append(kit.combine(results).p_value <= 0.05)
        assert bool((margins(tensors(changed, "cpu")[0]) > 0).all()) is not held[-1]
    assert held[0] is False
    assert held[-1] is True


def test_passes_a_gradient_of_every_detector(kit: Kit) -> None:
    image = tensors(SEEN, "cpu")[0].requires_grad_()
    margins = hidden(kit, SCAN, SEEN)(image)
    for margin in margins:
        (gradient,) = torch.autograd.grad(margin, image, retain_graph=True)
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).float().mean() > 0.05


def test_refuses_what_it_cannot_show(kit: Kit) -> None:
    with pytest.raises(SettingsError, match="JointRule"):
        hidden(KIT, SCAN, SEEN)
    with pytest.raises(SettingsError, match="no gradient"):
        statistic(HighFrequency(()), KIT, SCAN, SEEN)
    with pytest.raises(SettingsError, match="feature_squeezing cannot be watched"):
        statistic(FeatureSqueezing((), squeezers=(BitDepth(),)), kit, SCAN, SEEN)
