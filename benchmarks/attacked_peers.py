"""What detectors of others leave of themselves under the attack that ours is measured by.

The rows of `evaluate detection` that have a gradient, each as it stands there: same mask,
statistics, smoothing and slice score, written in torch (`differs` is the largest distance of a
slice score from the baseline's own, in three scans: what is attacked is the table's detector).
Each is attacked alone, by PGD on its own score, all slices with lesion of a scan down together, all
lesion-free ones not next to one up together. Where a median stands, the attacker gets the shared
gradient (`anomaly/median.py`), as of ours. Thresholds are each row's clean 90 % specificity.

    OMP_NUM_THREADS=1 python -m benchmarks.attacked_peers [--epsilon 4] [--steps 20]
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor
from torch.nn import functional

import bundles
from benchmarks.score_designs import Look, Push, Rows, line, pushed
from mri_guard import bundle
from mri_guard.anomaly import HealthyStatistics, VaeConfig, VaeScorer, slice_gap_mm, tensors
from mri_guard.anomaly.frame import View
from mri_guard.anomaly.median import median
from mri_guard.anomaly.residual import in_own_spreads, smooth
from mri_guard.anomaly.scorer import slice_scores
from mri_guard.attacks import Found, Pgd, Victim
from mri_guard.determinism import generator
from mri_guard.evaluation.baseline_parts.fixed_grid import GRID
from mri_guard.evaluation.baseline_parts.material import Baseline
from mri_guard.evaluation.baseline_parts.score import SMALLEST_SPREAD
from mri_guard.evaluation.baselines import (
    Atlas,
    AtlasAsymmetry,
    DenoisingAutoencoder,
    PlainVae,
    RobustZ,
    fit_baselines,
)
from mri_guard.evaluation.baselines.denoising_autoencoder import BATCH, MULTIPLE
from mri_guard.evaluation.baselines.robust_z import SMALLEST_SPREAD as SMALLEST_DEVIATION
from mri_guard.evaluation.detection import Case, _material, read_cases
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.ports import Scorer
from mri_guard.readers.manifest import read_manifest
from mri_guard.records import Anomaly
from mri_guard.symmetry import asymmetry

PEERS = (RobustZ, Atlas, AtlasAsymmetry, PlainVae, DenoisingAutoencoder)
"""Of the detection table, those with a gradient."""

Mapped = Callable[[Tensor, Tensor, float], Tensor]
"""From image and brain, (z, 1, x, y), and the gap of slices in mm to the map, like image."""


def main() -> None:
    """A line for each detector as it ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, default=Path("../shared/data/lgg/manifest.csv"))
    parser.add_argument("--split", default="test")
    parser.add_argument("--bundle", type=Path, default=bundles.DEFAULT)
    parser.add_argument("--baselines", type=Path, default=Path("var/flair/baselines"))
    parser.add_argument("--epsilon", type=float, default=4, help="in 255ths")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--patients", type=int, help="so many, as they stand; default: all")
    parser.add_argument("--seed", type=int, default=1)
    named = {"ours": None} | {kind.name: kind for kind in PEERS}
    parser.add_argument("--only", nargs="*", choices=tuple(named))
    options = parser.parse_args()
    console = Console(stderr=True)
    with bundle.load(options.bundle) as kit:
        assert isinstance(kit.scorer, VaeScorer)
        scorer = kit.scorer
        rows = read_manifest(options.manifest)
        subjects = sorted({row.subject for row in rows if row.split == options.split})
        assessed, train = (
            read_cases(
                [row for row in rows if row.split == split],
                subjects[: options.patients],
                kit,
                work=options.baselines,
                console=console,
                what=split,
            )[0]
            for split in (options.split, "train")
        )
    cases = [case for case in assessed if case.subject >= 0]
    counts = patient_counts(len({case.subject for case in cases}), generator(options.seed, "peers"))
    material = _material(train, scorer, folder=options.baselines, steps=5000, seed=0)
    wanted = options.only or tuple(named)
    peers = {one.name: one for one in fit_baselines(material, set(wanted) - {"ours"}, console)}
    print(f"{len(cases)} scans, {counts.shape[1]} patients, {options.epsilon:g}/255")
    columns = ("pixel AP", "clean", "attacked", "left", "sensitivity", "false positives", "differs")
    print(f"| detector | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name in wanted:
        if name == "ours":
            looked = attacked(scorer, scorer, ours(scorer), options)
        else:
            looked = attacked(peers[name], scorer, of_peer(peers[name], scorer.config), options)
        differs = max(
            float(np.nanmax(np.abs(looked[0](case)[1] - looked[0](case)[0].slice_scores)))
            for case in cases[:3]
        )
        print(f"| {name} | {line(*looked, cases, counts)} | {differs:.0e} |", flush=True)


def ours(scorer: VaeScorer) -> Mapped:
    """The bundle's map."""
    return lambda image, brain, gap_mm: scorer.map_tensor(image, brain, gap_mm)[0].abs()


def of_peer(peer: Baseline, config: VaeConfig) -> Mapped:
    """A baseline's map, with a gradient."""
    if isinstance(peer, RobustZ):
        return lambda image, brain, gap_mm: brightness(image, brain, gap_mm, config)

    def mapped(image: Tensor, brain: Tensor, gap_mm: float) -> Tensor:
        low, high = config.intensity_low, config.intensity_high
        view = View.of(image[:, 0], brain[:, 0], config.model.multiple, low, high)
        positions = view.frame.positions(image.device)

        def z(values: Tensor, statistics: HealthyStatistics) -> Tensor:
            return statistics.standardise(values, positions).nan_to_num(0.0)

        match peer:
            case Atlas():
                unusual = z(view.seen, peer.statistics)
            case AtlasAsymmetry():
                one_sided = z(asymmetry(view.seen, view.inside), peer.difference)
                unusual = (z(view.seen, peer.intensity) + one_sided) / 2
            case PlainVae():
                unusual = z(dense_residual(peer, view), peer.statistics)
            case DenoisingAutoencoder():
                unusual = z(taken_away(peer, view), peer.statistics)
            case _:
                raise ValueError(f"{peer.name} has no gradient here")
        whole = view.frame.put(unusual, brain[:, 0].shape)
        across = config.fusion.smoothing_mm / gap_mm
        smoothed = smooth(whole, brain[:, 0], config.fusion.smoothing_px, across)
        own = in_own_spreads(smoothed, brain[:, 0], config.fusion.dark, SMALLEST_SPREAD)
        return own.abs()[:, None]

    return mapped


def brightness(image: Tensor, brain: Tensor, gap_mm: float, config: VaeConfig) -> Tensor:
    """As `baselines/robust_z.py`."""
    held = image[brain]
    centre = median(held)
    spread = median((held - centre).abs()).clamp_min(SMALLEST_DEVIATION)
    values = (image[:, 0] - centre) / spread * brain[:, 0]
    across = config.fusion.smoothing_mm / gap_mm
    return smooth(values, brain[:, 0], config.fusion.smoothing_px, across)[:, None]


def dense_residual(peer: PlainVae, view: View) -> Tensor:
    """As `baseline_parts/dense_vae.py` and `fixed_grid.py`."""
    (_, x0, y0), (_, x1, y1) = view.frame.low, view.frame.high
    box = view.seen[:, None, : x1 - x0, : y1 - y0]
    restored = peer.vae.network(functional.interpolate(box, GRID, mode="bilinear", antialias=True))[
        0
    ]
    back = functional.interpolate(restored, box.shape[2:], mode="bilinear", antialias=True)[:, 0]
    padding = (0, view.seen.shape[2] - back.shape[2], 0, view.seen.shape[1] - back.shape[1])
    return (view.seen - functional.pad(back, padding)) * view.inside


def taken_away(peer: DenoisingAutoencoder, view: View) -> Tensor:
    """As `baselines/denoising_autoencoder.py`."""
    width, height = view.seen.shape[1:]
    padded = functional.pad(view.seen, (0, -height % MULTIPLE, 0, -width % MULTIPLE))[:, None]
    restored = torch.cat([peer.network(some) for some in torch.split(padded, BATCH)])
    return (view.seen - restored[:, 0, :width, :height]) * view.inside


def attacked(
    peer: Scorer, scorer: VaeScorer, mapped: Mapped, options: argparse.Namespace
) -> tuple[Look, Push]:
    """How a detector looks, and how it is attacked."""

    def scores(case: Case, image: Tensor, numbers: NDArray[np.int64] | None = None) -> Tensor:
        brain = tensors(case.preprocessed, "cpu")[1]
        found = mapped(image, brain, slice_gap_mm(case.preprocessed))
        some = slice(None) if numbers is None else numbers
        return slice_scores(found[some], brain[some], scorer.config)

    def look(case: Case) -> tuple[Anomaly, Rows]:
        with torch.no_grad():
            found = scores(case, tensors(case.preprocessed, "cpu")[0])
        return peer(case.preprocessed), found.double().numpy()

    def climb(
        victim: Victim, numbers: NDArray[np.int64], case: Case, rng: np.random.Generator
    ) -> Found:
        own = replace(victim, scores=lambda image: scores(case, image, numbers))
        return Pgd(steps=options.steps)(own, options.epsilon / 255, rng)

    return look, pushed(scorer, climb, options.seed, "peers")


if __name__ == "__main__":
    main()
