import csv
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mri_guard.anomaly import VaeConfig
from mri_guard.determinism import generator
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import read_manifest
from mri_guard.training.augmentation import Appearance
from mri_guard.training.batches import Corruption, held_out_batches, training_batch
from mri_guard.training.data import (
    load_subjects,
    prepared_scan,
    preprocess_digest,
    subject_of,
    window_index,
)
from mri_guard.training.mining import odds
from mri_guard.training.synthetic_lesions import HELD_OUT, TRAINED, kinds
from mri_guard.training.train import AS_HEALTHY
from tests.toys import TINY, TINY_VOLUME, toy_brain

TOUCHED = 12


@dataclass
class HeadIsBrain:
    """Stands in for the brain mask; counts its calls."""

    calls: int = 0

    def __call__(
        self, image: NDArray[np.float32], head: NDArray[np.bool_], spacing_mm: float
    ) -> NDArray[np.bool_]:
        self.calls += 1
        return head


def manifest(folder: Path) -> Path:
    """One scan of 20 slices with lesion in slice `TOUCHED` alone."""
    toy = toy_brain(generator(0, "on disk"), slices=20, side=96)
    voxels = np.where(toy.brain, 100 + 100 * toy.image, 0).astype(np.float32)
    lesion = np.zeros(voxels.shape, dtype=np.uint8)
    lesion[40:50, 40:50, TOUCHED] = 1
    for name, array in (("scan", voxels), ("mask", lesion)):
        nib.save(nib.Nifti1Image(array, toy.affine), folder / f"{name}.nii.gz")
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["scan", "mask", "subject", "label", "split", "sequence"])
        writer.writerow(["scan.nii.gz", "mask.nii.gz", "toy", "abnormal", "train", "FLAIR"])
    return path


def test_learns_from_no_window_that_touches_a_lesion_or_its_neighbour() -> None:
    healthy = toy_brain(generator(0, "subject"), slices=16)
    lesion = np.zeros(healthy.brain.shape, dtype=np.bool_)
    lesion[20, 20, 8] = True
    subject = subject_of(healthy, lesion, TINY)
    first = np.flatnonzero(healthy.brain.any(axis=(0, 1)))[0]
    for centre in subject.centres:
        slices = first + window_index(int(centre), len(subject.image), 1, subject.step)
        assert (np.abs(slices - 8) >= 2).all()
    assert len(subject.centres) > 4
    assert len(subject_of(healthy, None, TINY).centres) > len(subject.centres)


def test_shows_the_model_what_the_scorer_will_show_it() -> None:
    healthy = toy_brain(generator(0, "subject"), slices=8)
    subject = subject_of(healthy, None, TINY)
    window, brain, position = subject.window(3)
    assert window.shape == brain.shape
    assert position.shape == (3, *window.shape[1:])
    assert not window[~brain].any()
    assert subject.depth_px == pytest.approx(2.5)


def test_shows_a_model_in_three_dimensions_the_place_of_every_slice() -> None:
    subject = subject_of(toy_brain(generator(0, "subject"), slices=8), None, TINY_VOLUME)
    window, _, place = subject.window(3)
    assert np.array_equal(window, subject.image[2:5])
    assert np.array_equal(place.swapaxes(0, 1), subject.positions[2:5])
    _, _, first = subject.window(0)
    assert np.array_equal(first[:, 0], first[:, 1])


def test_reads_a_scan_once_and_its_cache_after_that(tmp_path: Path) -> None:
    rows = read_manifest(manifest(tmp_path))
    mask = HeadIsBrain()
    once = load_subjects(rows, Preprocess(mask), TINY, cache=tmp_path / "cache")
    again = load_subjects(rows, Preprocess(mask), TINY, cache=tmp_path / "cache")
    assert mask.calls == 1
    assert np.array_equal(once[0].image, again[0].image)
    assert np.array_equal(once[0].centres, again[0].centres)
    assert np.flatnonzero(~once[0].lesion_free).size == 3


def test_learns_nothing_from_an_abnormal_scan_without_a_mask(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (row,) = read_manifest(manifest(tmp_path))
    rows = [row, row.model_copy(update={"mask": None}), row.model_copy(update=AS_HEALTHY)]
    done: list[None] = []
    subjects = load_subjects(
        rows,
        Preprocess(HeadIsBrain()),
        TINY,
        cache=tmp_path / "cache",
        progress=lambda: done.append(None),
    )
    assert [subject.lesion_free.all() for subject in subjects] == [False, True]
    assert len(done) == 3
    assert "an abnormal scan without a mask is left out: train split" in caplog.text


def test_lets_two_processes_fill_one_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (row,) = read_manifest(manifest(tmp_path))
    preprocess, write = Preprocess(HeadIsBrain()), np.savez_compressed
    calls = []

    def prepared(decoder: Decoder) -> NDArray[np.float32]:
        return prepared_scan(row, preprocess, "one", decoder, tmp_path / "cache")[0].image

    with Decoder() as decoder:

        def while_another_writes(*args: Any, **arrays: Any) -> None:
            calls.append(1)
            if len(calls) == 1:
                with monkeypatch.context() as other:
                    other.setattr(os, "getpid", lambda: -1)
                    prepared(decoder)
            write(*args, **arrays)

        monkeypatch.setattr(np, "savez_compressed", while_another_writes)
        first = prepared(decoder)
        assert np.array_equal(first, prepared(decoder))
    assert len(calls) == 2
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".npz"]


def test_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    path = manifest(tmp_path)
    (tmp_path / "scan.nii.gz").write_bytes(b"no scan")
    rows = read_manifest(path)
    assert load_subjects(rows, Preprocess(HeadIsBrain()), TINY, cache=tmp_path / "cache") == []


def test_names_its_preprocessing_by_source_and_weights() -> None:
    digest = preprocess_digest(Preprocess(HeadIsBrain()))
    assert digest == preprocess_digest(Preprocess(HeadIsBrain()))
    assert len(digest) == 64


def corruption(lesion_share: float, noise_share: float) -> Corruption:
    drawn = kinds(TRAINED)
    return Corruption(drawn, odds([1.0] * len(drawn)), lesion_share, noise_share)


def test_draws_lesions_as_often_as_their_odds_say() -> None:
    groups = [[subject_of(toy_brain(generator(0, "odds")), None, TINY)]]
    one = replace(corruption(1.0, 0.0), odds=np.eye(len(kinds(TRAINED)))[3])
    batch = training_batch(
        groups, 0, 0, size=8, crop_px=32, corruption=one, appearance=Appearance()
    )
    assert {kind for _, kind in batch.drawn} == {3}
    assert {sample for sample, _ in batch.drawn} == set(range(8))


def test_draws_a_batch_from_seed_and_step_alone() -> None:
    groups = [[subject_of(toy_brain(generator(0, "batch", i)), None, TINY) for i in range(2)]]

    def draw(seed: int, step: int) -> torch.Tensor:
        return training_batch(
            groups,
            seed,
            step,
            size=4,
            crop_px=32,
            corruption=corruption(1.0, 0.5),
            appearance=Appearance(),
        ).window

    assert torch.equal(draw(0, 5), draw(0, 5))
    assert not torch.equal(draw(0, 5), draw(0, 6))
    assert not torch.equal(draw(0, 5), draw(1, 5))


@pytest.mark.parametrize("config", [TINY, TINY_VOLUME], ids=["2-D", "3-D"])
def test_corrupts_the_input_and_never_the_target(config: VaeConfig) -> None:
    groups = [[subject_of(toy_brain(generator(0, "batch", i)), None, config) for i in range(2)]]
    for batch in held_out_batches(groups, 0, kinds(HELD_OUT), size=8, count=2, crop_px=32):
        change = (batch.seen - batch.target).abs()
        assert change[batch.lesion >= 0.5].mean() > 10 * change[batch.lesion < 0.01].mean()
        assert not change[batch.brain == 0].any()


def test_parts_a_batch_by_the_kinds_of_its_lesions() -> None:
    groups = [[subject_of(toy_brain(generator(0, "batch", i)), None, TINY) for i in range(2)]]
    (batch,) = held_out_batches(groups, 0, kinds(HELD_OUT), size=12, count=1, crop_px=32)
    first = {kind for _, kind in batch.drawn if kind < 9}
    rings, others = batch.of_kinds(first), batch.of_kinds(set(range(18)) - first)
    assert {kind for _, kind in rings.drawn} == first
    assert len(rings.window) + len(others.window) == 12
    for part in (rings, others):
        for sample, (own, kind) in enumerate(part.drawn):
            assert own == sample
            alike = [index for index, other in batch.drawn if other == kind]
            assert any(torch.equal(part.window[own], batch.window[index]) for index in alike)
    assert len(batch.of_kinds(()).window) == 0


def test_shows_of_a_window_what_is_to_be_restored_and_where_it_lies() -> None:
    toys = [toy_brain(generator(0, "batch", i)) for i in range(2)]
    flat, deep = (
        held_out_batches(
            [[subject_of(toy, None, config) for toy in toys]],
            0,
            kinds(HELD_OUT),
            size=8,
            count=1,
            crop_px=32,
        )[0]
        for config in (TINY, TINY_VOLUME)
    )
    assert torch.equal(flat.seen, flat.window[:, 1:2])
    assert torch.equal(flat.place, flat.position)
    assert torch.equal(deep.seen, deep.window)
    by_slice = deep.place.reshape(8, 3, 3, 32, 32)
    assert torch.equal(by_slice[:, 2], deep.position[:, :, 2])
    # The first window of both: the same place, mirrored or not.
    assert torch.equal(by_slice[0, 1], flat.place[0])


def test_puts_lesions_into_every_slice_that_is_to_be_restored() -> None:
    groups = [
        [subject_of(toy_brain(generator(0, "batch", i)), None, TINY_VOLUME) for i in range(4)]
    ]
    batches = held_out_batches(groups, 0, kinds(HELD_OUT), size=50, count=2, crop_px=48)
    shares = torch.cat([batch.lesion for batch in batches]).sum((0, 2, 3))
    assert shares.min() > 0.6 * shares.max()


def test_draws_small_groups_as_often_as_large_ones() -> None:
    dark = subject_of(toy_brain(generator(0, "group")), None, TINY)
    lifted = replace(dark, image=(dark.image + 5.0 * dark.brain).astype(np.float32))
    still = Appearance(
        gamma=0, gain=0, offset=0, bias=0, noise=0, coarser_share=0, artifact_share=0
    )
    batch = training_batch(
        [[dark] * 9, [lifted]],
        0,
        0,
        size=200,
        crop_px=48,
        corruption=corruption(0.0, 0.0),
        appearance=still,
    )
    share = (batch.target.amax((1, 2, 3)) > 3).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.11)
