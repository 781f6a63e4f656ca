from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from mri_guard.preprocess.brain_mask import CEILING
from mri_guard.training import brain_mask, synthetic_heads
from mri_guard.training.brain_mask import batch, mask_loss, train_brain_mask
from mri_guard.training.synthetic_heads import NAMES, TISSUES, brain_target, load_head, synthesise


@pytest.fixture(scope="module")
def label_maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head of nested balls, with the numbers of real label maps."""
    folder = tmp_path_factory.mktemp("label_maps")
    x, y, z = np.indices((150, 170, 150)) - np.array([75, 85, 75])[:, None, None, None]
    radius = np.sqrt((x / 60) ** 2 + (y / 75) ** 2 + (z / 60) ** 2)
    labels = np.zeros(radius.shape, np.uint16)
    for limit, number in ((1.2, 511), (1.15, 507), (1.1, 515), (1.0, 24), (0.95, 3), (0.8, 2)):
        labels[radius < limit] = number
    labels[radius < 0.2] = 4
    for name in ("seg_01", "seg_09"):
        nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brain_mask, "HEADS", 1)
    monkeypatch.setattr(synthetic_heads, "MOST_SLICES", 3)
    monkeypatch.setattr(brain_mask, "SAVE_EVERY", 2)


def test_fills_the_folds_and_stays_off_the_skull() -> None:
    tissue = np.zeros((60, 60, 60), np.uint8)
    tissue[5:55, 5:55, 5:55] = NAMES.index("cortical_bone")
    tissue[8:52, 8:52, 8:52] = NAMES.index("csf")
    tissue[10:50, 10:50, 10:50] = NAMES.index("cortex")
    tissue[28:31, 30:50, 10:50] = NAMES.index("csf")  # a sulcus
    target = brain_target(tissue)
    assert target[28:31, 30:48, 15:45].all()
    assert not target[tissue == NAMES.index("cortical_bone")].any()
    assert not target[8:10].any()


def test_knows_every_number_of_the_label_maps_once() -> None:
    numbers = [number for group in TISSUES.values() for number in group]
    assert len(numbers) == len(set(numbers))


def test_names_the_fat_of_orbit_and_scalp_and_leaves_the_muscle(label_maps: Path) -> None:
    volume = np.asarray(nibabel.load(label_maps / "seg_01.nii.gz").dataobj).copy()
    volume[70:80, 60:70, 60:70] = 507  # soft tissue deep in the head, far from an eye
    volume[40:50, 60:70, 60:70] = 507  # and some beside one
    volume[42:46, 63:66, 63:66] = 506
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), label_maps / "other.nii.gz")
    tissue = load_head(label_maps / "other.nii.gz").tissue
    (label_maps / "other.nii.gz").unlink()
    assert (tissue[70:80, 60:70, 60:70] == NAMES.index("soft_tissue")).all()
    assert (tissue[47:50, 60:70, 60:70] == NAMES.index("orbital_fat")).any()
    skin = np.argwhere(volume[75] == 511)[0]
    assert (tissue[75] == NAMES.index("scalp_fat")).any()
    assert tissue[75][tuple(skin)] == NAMES.index("skin")


def test_draws_stacks_in_range_with_a_target_inside_the_head(label_maps: Path) -> None:
    head = load_head(label_maps / "seg_01.nii.gz")
    seen, heights = 0.0, set()
    for seed in range(12):
        image, target, lesions = synthesise(head, np.random.default_rng(seed))
        assert image.shape == target.shape == lesions.shape
        assert (lesions <= target).all()
        assert image.shape[0] == 1
        assert 1 <= image.shape[1] <= synthetic_heads.MOST_SLICES
        assert image.shape[2:] == (128, 128)
        assert torch.isfinite(image).all()
        assert 0 <= image.min() <= image.max() <= CEILING
        assert ((target == 0) | (target == 1)).all()
        seen += float(target.mean())
        heights.add(image.shape[1])
    assert seen > 0.5
    assert len(heights) > 4


def test_draws_the_same_batch_again(label_maps: Path) -> None:
    heads = [load_head(label_maps / "seg_01.nii.gz")]
    first, again, other = (list(batch(heads, 3, step)) for step in (7, 7, 8))
    for parts, same in zip(first, again, strict=True):
        assert all(torch.equal(part, copy) for part, copy in zip(parts, same, strict=True))
    assert first[0][0].shape != other[0][0].shape or not torch.equal(first[0][0], other[0][0])


def test_has_no_loss_left_for_a_perfect_mask() -> None:
    targets = (torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    nowhere = torch.zeros_like(targets)
    perfect = mask_loss(200 * (targets - 0.5), targets, nowhere)
    inverted = mask_loss(-200 * (targets - 0.5), targets, nowhere)
    assert perfect < 1e-3
    assert inverted > 10
    # A lesion that is lost costs more than as much healthy brain.
    assert mask_loss(-200 * (targets - 0.5), targets, targets) > 2 * inverted


@pytest.mark.usefixtures("quick")
def test_learns_the_same_weights_from_the_same_seed_also_when_interrupted(
    label_maps: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    once = train_brain_mask(label_maps, tmp_path / "once.safetensors", steps=4, report=lines.append)
    parts = tmp_path / "parts.safetensors"
    train_brain_mask(label_maps, parts, steps=4, until=2)
    assert not parts.exists()
    train_brain_mask(label_maps, parts, steps=4)
    other = train_brain_mask(label_maps, tmp_path / "other.safetensors", steps=4, seed=1)

    one, two, three = load_file(once), load_file(parts), load_file(other)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], three[name]) for name in one)
    assert len(lines) == 2
    assert not list(tmp_path.glob("*.checkpoint"))


@pytest.mark.usefixtures("quick")
def test_starts_anew_when_the_checkpoint_is_of_another_run(
    label_maps: Path, tmp_path: Path
) -> None:
    fresh = train_brain_mask(label_maps, tmp_path / "fresh.safetensors", steps=2, seed=5)
    out = tmp_path / "out.safetensors"
    train_brain_mask(label_maps, out, steps=4, seed=6, until=2)
    train_brain_mask(label_maps, out, steps=2, seed=5)
    one, two = load_file(fresh), load_file(out)
    assert all(torch.equal(one[name], two[name]) for name in one)
