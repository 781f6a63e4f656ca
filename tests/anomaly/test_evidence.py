from dataclasses import replace

import pytest
import torch

from mri_guard.anomaly import Evidence, Fusion, FusionConfig, evidence
from mri_guard.anomaly.evidence import KINDS
from mri_guard.anomaly.frame import Frame
from mri_guard.errors import BundleError
from tests.toys import plain_fusion

SHAPE = (8, 40, 48)
ALONE = FusionConfig(restoration=0, atlas=0, asymmetry=0, structure=0)


def brain(seed: int = 0, bright: bool = False) -> tuple[Evidence, torch.Tensor]:
    """Evidence of a noisy ellipsoid whose restoration is without noise, and where its lesion is."""
    x, y = torch.arange(SHAPE[1]) - 19.5, torch.arange(SHAPE[2]) - 23.5
    inside = ((x[:, None] / 18) ** 2 + (y / 22) ** 2 < 1).expand(SHAPE).clone()
    lesion = torch.zeros_like(inside)
    lesion[3:5, 6:12, 20:28] = True
    restored = 0.7 * inside
    noise = torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))
    seen = (restored + 0.05 * noise + 0.4 * bright * lesion) * inside
    positions = Frame((0, 0, 0), SHAPE, 1).positions(torch.device("cpu"))
    return evidence(seen, inside, restored, positions, 5.0), lesion & inside


def fitted(config: FusionConfig) -> Fusion:
    healthy = [brain(seed)[0] for seed in range(8)]
    return Fusion.fit([(one, one.inside) for one in healthy], config)


@pytest.mark.parametrize("kind", KINDS)
def test_finds_a_bright_lesion_by_each_kind_of_evidence(kind: str) -> None:
    found, lesion = brain(99, bright=True)
    signed = fitted(ALONE.model_copy(update={kind: 1.0}))(found)
    elsewhere = found.inside & ~lesion
    assert signed[lesion].mean() > 4 * signed[elsewhere].abs().mean()


def test_shows_what_is_missing_on_one_side_as_dark_there_and_bright_on_the_other() -> None:
    found, lesion = brain(99, bright=True)
    asymmetry = found.signed["asymmetry"]
    assert asymmetry[lesion].mean() == pytest.approx(0.4, abs=0.05)
    assert asymmetry[lesion.flip(1)].mean() == pytest.approx(-0.4, abs=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_is_the_whole_sum_where_it_alone_has_weight(kind: str) -> None:
    found, _ = brain(99, bright=True)
    fusion = fitted(FusionConfig())
    alone = replace(
        fusion,
        config=ALONE.model_copy(update={kind: 1.0}),
        fused=plain_fusion().fused,  # whose mean is 0 and whose spread 1
    )
    torch.testing.assert_close(
        fusion.part(found, kind) * found.inside, alone.in_healthy_spreads(found)
    )


def test_measures_the_sum_in_the_scans_own_spreads_whatever_the_weights() -> None:
    for config in (FusionConfig(dark=1), FusionConfig(restoration=5, atlas=3, asymmetry=0, dark=1)):
        found, _ = brain(99)
        signed = fitted(config)(found)[found.inside]
        assert signed.mean().item() == pytest.approx(0, abs=0.2)
        assert signed.std().item() == pytest.approx(1, abs=0.2)


def test_counts_what_is_too_dark_at_its_share() -> None:
    found, _ = brain(99)
    whole, half = (fitted(FusionConfig(dark=share))(found) for share in (1.0, 0.5))
    torch.testing.assert_close(half, torch.where(whole < 0, 0.5 * whole, whole))


def test_a_smooth_field_is_no_lesion_once_it_is_taken_out() -> None:
    found, lesion = brain(99, bright=True)
    x, y, z = found.positions.unbind(1)
    field = (0.12 * x - 0.15 * y * z).exp()  # of the restoration too, which keeps it
    signed = {**found.signed, "atlas": found.signed["atlas"] * field}
    found = replace(found, signed=signed)
    atlas = ALONE.model_copy(update={"atlas": 1.0, "own_share": 0.0, "dark": 1.0})
    left, taken = (
        fitted(atlas.model_copy(update={"field_order": order}))(found) for order in (None, 3)
    )
    elsewhere = found.inside & ~lesion
    assert left[elsewhere].abs().mean() > 3 * taken[elsewhere].abs().mean()
    assert taken[lesion].mean() > 8 * taken[elsewhere].abs().mean()


def test_is_nought_outside_the_brain() -> None:
    found, _ = brain(1, bright=True)
    assert not fitted(FusionConfig())(found)[~found.inside].any()


def test_comes_back_from_its_tensors() -> None:
    config = FusionConfig(field_order=1)
    fusion = fitted(config)
    again = Fusion.from_tensors(fusion.tensors(), config)
    found, _ = brain(3)
    assert torch.equal(fusion(found), again(found))


def test_refuses_tensors_that_do_not_fit() -> None:
    tensors = plain_fusion().tensors()
    with pytest.raises(BundleError, match="another is unexpected"):
        Fusion.from_tensors(tensors | {"another": torch.zeros(1)}, FusionConfig())
    del tensors["fused.mean"]
    with pytest.raises(BundleError, match="fused tensors"):
        Fusion.from_tensors(tensors, FusionConfig())


@pytest.mark.parametrize("order", [None, 2])
def test_passes_a_gradient_to_image_and_restoration(order: int | None) -> None:
    found, _ = brain(5)
    seen = found.signed["atlas"].clone().requires_grad_()
    restored = (0.7 * found.inside).requires_grad_()
    again = evidence(seen, found.inside, restored, found.positions, 5.0)
    fusion = fitted(FusionConfig(field_order=order))
    fusion(again).abs().sum().backward()  # type: ignore[no-untyped-call]
    for leaf in (seen, restored):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()
        assert leaf.grad.abs().sum() > 0
