from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from mri_guard.cli import BROKEN, app
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.records import Contrast, Preprocessed
from mri_guard.training.healthy_heads import (
    BETWEEN,
    VESSELS,
    healthy_heads,
    not_healthy,
    synthesise_healthy,
    tissue_means,
)
from mri_guard.training.synthetic_heads import BRAIN, NAMES, HeadLabels, load_head


def save(path: Path, lesion: float) -> None:
    """A head of nested balls: skull, CSF, cortex, white matter with a lesion, a ventricle."""
    x, y, z = np.indices((110, 130, 110)) - np.array([55, 65, 55])[:, None, None, None]
    radius = np.sqrt((x / 51) ** 2 + (y / 61) ** 2 + (z / 51) ** 2)
    labels = np.zeros(radius.shape, np.uint16)
    for limit, number in ((1.06, 515), (1.0, 24), (0.93, 3), (0.75, 2), (0.25, 4)):
        labels[radius < limit] = number
    labels[(np.abs(radius - 0.4) < lesion) & (x > 0)] = 25
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One map with a little lesion and one with much of it."""
    made = tmp_path_factory.mktemp("label_maps")
    save(made / "a_healthy.nii.gz", lesion=0.01)
    save(made / "b_ill.nii.gz", lesion=0.1)
    return made


@pytest.fixture(scope="module")
def labels(folder: Path) -> HeadLabels:
    return load_head(folder / "a_healthy.nii.gz")


@pytest.fixture(scope="module")
def heads(folder: Path) -> list[Preprocessed]:
    return healthy_heads(folder, Contrast.FLAIR, seed=0, each=2)


def test_leaves_out_maps_of_brains_that_are_not_healthy(heads: list[Preprocessed]) -> None:
    assert len(heads) == 2  # of the first map; the second is ill


@pytest.mark.parametrize(
    ("brain_ml", "lesion_ml", "csf_ml", "reason"),
    [
        (1200, 2, 400, None),
        (1200, 12, 400, "12 ml of white matter lesions, at most 10 wanted"),
        (1000, 2, 500, "0.50 of CSF per brain, at most 0.42 wanted"),
    ],
)
def test_says_why_a_label_map_is_not_healthy(
    brain_ml: int, lesion_ml: int, csf_ml: int, reason: str | None
) -> None:
    parts = {"cortex": brain_ml - lesion_ml, "lesion": lesion_ml, "csf": csf_ml}
    values = [NAMES.index(name) for name in parts]
    tissue = np.repeat(np.array(values, np.uint8), [1000 * ml for ml in parts.values()])
    labels = torch.from_numpy(tissue.reshape(10, 10, -1))
    assert not_healthy(HeadLabels(labels, labels > 0, (5.0, 5.0), (0, 9))) == reason


@pytest.mark.parametrize(
    ("contrast", "order"),
    [
        (Contrast.FLAIR, ("csf", "white_matter", "cortex")),
        (Contrast.T1, ("csf", "cortex", "white_matter")),
    ],
)
def test_keeps_the_tissues_in_the_order_of_the_contrast(
    contrast: Contrast, order: tuple[str, ...]
) -> None:
    seen = [tissue_means(contrast, generator(seed, "look")) for seed in range(30)]
    for means in seen:
        low, middle, high = (means[NAMES.index(name)] for name in order)
        assert low < middle < high
        assert means[NAMES.index("lesion")] == means[NAMES.index("white_matter")]
        assert means[0] == 0
    assert np.ptp([means[NAMES.index("cortex")] for means in seen]) > 0.1


def test_gives_every_tissue_of_the_brain_an_intensity() -> None:
    means = tissue_means(Contrast.FLAIR, generator(0, "look"))
    assert (means[list(BRAIN)] > 0).all()
    assert (BETWEEN.keys() | VESSELS.keys()) <= set(NAMES)


def test_gives_heads_as_preprocessing_does(labels: HeadLabels, heads: list[Preprocessed]) -> None:
    for head in heads:
        gap_mm = head.affine[2, 2]
        assert 3 <= gap_mm <= 7
        millilitres = head.brain.sum() * 2 * 2 * gap_mm / 1000
        assert 0.6 < millilitres / (float(labels.brain.sum()) / 1000) < 1.6
        assert np.allclose(np.percentile(head.image[head.brain], (1, 99)), (0, 1), atol=1e-4)
        assert not head.image[~head.head].any()


def test_draws_another_brain_each_time_and_the_same_from_the_same_seed(
    labels: HeadLabels, heads: list[Preprocessed]
) -> None:
    again = synthesise_healthy(
        labels, Contrast.FLAIR, generator(0, "healthy head", "a_healthy.nii.gz", 1)
    )
    assert np.array_equal(again.image, heads[1].image)
    assert heads[0].image.shape != heads[1].image.shape or not np.array_equal(
        heads[0].brain, heads[1].brain
    )


def test_shows_fluid_as_dark_as_a_contrast_has_it(labels: HeadLabels) -> None:
    x, y, z = np.indices(labels.tissue.shape) - np.array([55, 65, 55])[:, None, None, None]
    large = torch.from_numpy(x**2 + y**2 + z**2 < 24**2)  # no deformation moves it off the middle
    tissue = labels.tissue.masked_fill(large, NAMES.index("ventricle"))
    wide = HeadLabels(tissue, labels.brain, labels.centre, labels.brain_z)
    head = synthesise_healthy(wide, Contrast.FLAIR, generator(3, "head"))
    x, y, z = np.argwhere(head.brain).mean(0).round().astype(int)
    inner = head.image[x - 2 : x + 3, y - 2 : y + 3, z]
    assert inner.mean() < 0.5 * np.median(head.image[head.brain])


def test_knows_no_order_of_tissues_for_other_contrasts(folder: Path) -> None:
    with pytest.raises(SettingsError, match="no synthetic heads in PD; there are FLAIR, T1"):
        healthy_heads(folder, Contrast.PD, seed=0)


def test_wants_a_healthy_label_map(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no label map of a healthy head"):
        healthy_heads(tmp_path, Contrast.FLAIR, seed=0)


def test_is_asked_for_on_the_command_line(tmp_path: Path) -> None:
    options = ["--manifest", "none.csv", "--out", str(tmp_path), "--label-maps", str(tmp_path)]
    result = CliRunner().invoke(app, ["train", *options])
    assert result.exit_code == BROKEN
    assert "no label map of a healthy head" in " ".join(result.stderr.split())
