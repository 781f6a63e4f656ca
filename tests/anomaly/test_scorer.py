import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from mri_guard.anomaly import Vae, VaeConfig, VaeScorer, slice_gap_mm, tensors
from mri_guard.anomaly import scorer as module
from mri_guard.anomaly.scorer import restore, slice_scores, top_mean
from mri_guard.determinism import generator
from mri_guard.errors import BundleError, SeriesError
from mri_guard.records import Preprocessed
from tests.toys import TINY, TINY_VOLUME, plain_fusion, toy_brain


def state(config: VaeConfig = TINY) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(Vae(config.model).state_dict())


def healthy() -> dict[str, torch.Tensor]:
    return plain_fusion(spread=0.1).tensors()


@pytest.fixture(scope="module", params=[TINY, TINY_VOLUME], ids=["2-D", "3-D"])
def scorer(request: pytest.FixtureRequest) -> VaeScorer:
    return VaeScorer.from_tensors(request.param, state(request.param), healthy())


@pytest.fixture(scope="module")
def toy() -> Preprocessed:
    return toy_brain(generator(0, "scored"), slices=6)


def padded(toy: Preprocessed, before: tuple[int, int, int]) -> Preprocessed:
    """The toy on a larger grid, somewhere else."""
    widths = [(n, 5 - n) for n in before]

    def pad(array: np.ndarray) -> np.ndarray:
        return np.pad(array, widths)

    return replace(toy, image=pad(toy.image), brain=pad(toy.brain), head=pad(toy.head))


@pytest.mark.parametrize("before", [(0, 0, 0), (3, 1, 2), (5, 5, 5)])
def test_scores_a_brain_alike_wherever_it_lies(
    scorer: VaeScorer, toy: Preprocessed, before: tuple[int, int, int]
) -> None:
    there, here = scorer(padded(toy, before)), scorer(toy)
    assert there.score == pytest.approx(here.score, rel=1e-5)
    x, y, z = (slice(n, n + length) for n, length in zip(before, toy.image.shape, strict=True))
    assert np.allclose(there.map[x, y, z], here.map, atol=1e-4)


def test_looks_at_nothing_outside_the_brain(scorer: VaeScorer, toy: Preprocessed) -> None:
    noise = generator(0, "outside").normal(size=toy.image.shape) * ~toy.brain
    other = replace(toy, image=(toy.image + noise).astype(np.float32))
    assert scorer(other).score == scorer(toy).score
    assert not scorer(other).map[~toy.brain].any()


def test_gives_a_map_that_is_nowhere_below_nought(scorer: VaeScorer, toy: Preprocessed) -> None:
    assert (scorer(toy).map >= 0).all()


def test_gives_the_score_that_attacks_differentiate(scorer: VaeScorer, toy: Preprocessed) -> None:
    image, brain = tensors(toy, "cpu")
    image.requires_grad_()
    score = scorer.score_tensor(image, brain, slice_gap_mm(toy))
    (gradient,) = torch.autograd.grad(score, image)
    assert score.item() == pytest.approx(scorer(toy).score, rel=1e-6)
    assert torch.isfinite(gradient).all()
    assert gradient[brain].abs().max() > 0
    assert not gradient[~brain].any()


def test_has_a_gradient_that_predicts_what_a_step_does(
    scorer: VaeScorer, toy: Preprocessed
) -> None:
    image, brain = tensors(toy, "cpu")
    model = replace(scorer, model=copy.deepcopy(scorer.model).double())
    exact = image.double().requires_grad_()
    gap = slice_gap_mm(toy)
    (gradient,) = torch.autograd.grad(model.score_tensor(exact, brain, gap), exact)
    # Of 2.5/255, as attacks take it: the medians' own gradients, one voxel's each, predict 4 %.
    step = 0.01 * gradient.sign()
    with torch.no_grad():
        rise = model.score_tensor(exact + step, brain, gap) - model.score_tensor(exact, brain, gap)
    assert rise.item() == pytest.approx((gradient * step).sum().item(), rel=0.2)


def test_gives_the_same_map_however_many_slices_are_restored_at_once(
    scorer: VaeScorer, toy: Preprocessed, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = scorer(toy)
    for at_once in (1, 4, 1000):
        monkeypatch.setattr(module, "BATCH_SLICES", at_once)
        assert np.allclose(scorer(toy).map, wanted.map, atol=1e-4)


def test_restores_a_slice_from_its_own_window_alone(scorer: VaeScorer) -> None:
    shape, step, changed = scorer.config.model, 2, 6
    draw = torch.Generator().manual_seed(0)
    seen, positions = torch.rand(12, 16, 16, generator=draw), torch.zeros(12, 3, 16, 16)
    other = seen.clone()
    other[changed] += 1.0
    with torch.inference_mode():
        before, after = (
            restore(scorer.model, shape, one, positions, step) for one in (seen, other)
        )
    differs = [z for z in range(12) if not torch.allclose(before[z], after[z], atol=1e-5)]
    assert differs == [changed - step, changed, changed + step]


def test_scores_a_brain_of_one_slice(scorer: VaeScorer) -> None:
    found = scorer(toy_brain(generator(0, "one slice"), slices=1))
    assert np.isfinite(found.score)
    assert found.map.any()


def test_means_the_highest_share() -> None:
    assert top_mean(torch.arange(100.0), 0.02).item() == pytest.approx(98.5)
    assert top_mean(torch.tensor([3.0]), 0.01).item() == 3.0


def test_gives_no_score_to_slices_with_too_little_brain(toy: Preprocessed) -> None:
    _, brain = tensors(toy, "cpu")
    brain = brain.clone()
    brain[0] = False
    brain[0, 0, 20, 20] = True
    scores = slice_scores(torch.ones(brain.shape), brain, TINY)
    assert torch.isnan(scores[0])
    assert (scores[1:] == 1).all()


def test_refuses_a_scan_without_brain(scorer: VaeScorer, toy: Preprocessed) -> None:
    with pytest.raises(SeriesError, match="no-brain-found"):
        scorer(replace(toy, brain=np.zeros_like(toy.brain)))


@pytest.mark.parametrize("what", ["missing", "further", "shape", "nan"])
def test_refuses_weights_that_do_not_fit(what: str) -> None:
    weights = state()
    key = next(iter(weights))
    if what == "missing":
        del weights[key]
    elif what == "further":
        weights["another"] = torch.zeros(1)
    elif what == "shape":
        weights[key] = weights[key][:-1]
    else:
        weights[key] = torch.full_like(weights[key], torch.nan)
    with pytest.raises(BundleError, match="vae"):
        VaeScorer.from_tensors(TINY, weights, healthy())


def test_tells_the_posterior_that_attacks_differentiate(
    scorer: VaeScorer, toy: Preprocessed
) -> None:
    image, brain = tensors(toy, "cpu")
    gap_mm = slice_gap_mm(toy)
    image.requires_grad_()
    posterior = scorer.posterior_tensor(image, brain, gap_mm)
    (gradient,) = torch.autograd.grad(posterior.square().mean(), image)
    assert posterior.shape[0] == 2
    assert gradient[brain].abs().max() > 0
    assert not gradient[~brain].any()


def test_tells_a_posterior_that_stays_where_the_image_stays(
    scorer: VaeScorer, toy: Preprocessed
) -> None:
    image, brain = tensors(toy, "cpu")
    changed = torch.where(brain, image + 0.1 * image.square(), image - 1)
    gap_mm = slice_gap_mm(toy)
    before, same, after = (
        scorer.posterior_tensor(one, brain, gap_mm)
        for one in (image, torch.where(brain, image, 9.0), changed)
    )
    assert torch.equal(before, same)
    assert (before - after).abs().max() > 1e-3


def test_its_digest_is_that_of_all_its_scores_depend_on() -> None:
    weights = state()
    first = VaeScorer.from_tensors(TINY, weights, healthy())
    assert first.digest() == VaeScorer.from_tensors(TINY, weights, healthy()).digest()
    others = (
        VaeScorer.from_tensors(TINY.model_copy(update={"top_share": 0.5}), weights, healthy()),
        VaeScorer.from_tensors(TINY, weights, plain_fusion(spread=0.2).tensors()),
        VaeScorer.from_tensors(
            TINY, {key: value + (key == min(weights)) for key, value in weights.items()}, healthy()
        ),
    )
    assert len({one.digest() for one in (first, *others)}) == 4


def test_tells_what_a_scan_looks_like_by_its_latents_means(
    scorer: VaeScorer, toy: Preprocessed
) -> None:
    means = scorer.latent_means(toy)
    image, brain = tensors(toy, "cpu")
    with torch.inference_mode():
        every = scorer.posterior_tensor(image, brain, slice_gap_mm(toy))[0]
    assert means.shape == (sum(scorer.config.model.latents),)
    assert np.isfinite(means).all()
    # All slices are taken where the stack is that short: what is left is to weigh levels by size.
    assert float(every.min()) <= means.min() <= means.max() <= float(every.max())
    assert np.array_equal(scorer.latent_means(padded(toy, (2, 2, 2))).round(4), means.round(4))


def test_takes_slices_from_the_whole_stack(
    scorer: VaeScorer, toy: Preprocessed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_SLICES", 2)
    upper = replace(toy, image=np.where(np.arange(6) > 3, 0.9 * toy.image, toy.image))
    assert not np.array_equal(scorer.latent_means(upper), scorer.latent_means(toy))
