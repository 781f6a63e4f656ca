"""Healthy scans under attack, and under noise: what the second look is calibrated on."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from mri_guard.anomaly import VaeScorer
from mri_guard.attacks import Pgd
from mri_guard.calibration.second_look import SecondLookConfig, SecondLookScores
from mri_guard.defences import smoothed
from mri_guard.determinism import generator
from mri_guard.errors import InputError
from mri_guard.kept import digest_of, digest_of_arrays, once
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.readers.manifest import ManifestRow
from mri_guard.records import Preprocessed
from mri_guard.training.calibrate import healthy_part
from mri_guard.training.data import prepared_scan, preprocess_digest
from mri_guard.under_attack import scan_victim

logger = logging.getLogger(__name__)

SCORES = TypeAdapter(tuple[float, float])
"""Of one scan, as they are kept."""


def second_look_scores(
    rows: Sequence[ManifestRow],
    preprocess: Preprocess,
    scorer: VaeScorer,
    config: SecondLookConfig,
    *,
    cache: Path,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> SecondLookScores:
    """Scores of what is healthy in the scans, attacked and smoothed, grouped as `calibration_of`
    groups them.

    A scan costs as much as screening it `config.steps` times with gradient and `config.draws` times
    without. Each is kept once it is done: an interrupted call goes on after it.

    Args:
        rows: the calibration split.
        preprocess: as the bundle uses it.
        scorer: as the bundle uses it; on its device.
        config: of attack and noise.
        cache: folder for preprocessed scans and for scores.
        seed: of the attack's starts and of the noise.
        progress: called after each scan.
    """
    maker = preprocess_digest(preprocess)
    run = scorer.digest(), config.model_dump_json(), maker, seed
    attacked: dict[str, list[float]] = {}
    medians: dict[str, list[float]] = {}
    with_healthy = {row.site for row in rows if row.label == "healthy"}
    with Decoder() as decoder:
        for number, row in enumerate(rows):
            try:
                scan, lesion = prepared_scan(row, preprocess, maker, decoder, cache)
                part = healthy_part(row, scan, lesion, with_healthy)
                if part is not None:
                    group, seen = part
                    of = digest_of_arrays(seen.image, seen.brain, seen.head, seen.affine)
                    key = digest_of("second look", *run, number, of)
                    make = partial(_looked_at, scorer, seen, config, seed, number)
                    highest, median = once(cache / f"{key}.json", SCORES, make)
                    attacked.setdefault(group, []).append(highest)
                    medians.setdefault(group, []).append(median)
            except InputError as error:
                logger.warning("a calibration scan is left out: %s", error)
            progress()
    return SecondLookScores(
        config=config,
        attacked={group: tuple(scores) for group, scores in attacked.items()},
        smoothed={group: tuple(scores) for group, scores in medians.items()},
    )


def _looked_at(
    scorer: VaeScorer, seen: Preprocessed, config: SecondLookConfig, seed: int, number: int
) -> tuple[float, float]:
    """Highest score under attack, and median under noise."""
    rng = generator(seed, "alarm", number)
    highest = attacked_score(scorer, seen, config.epsilon, config.steps, rng)
    rng = generator(seed, "smoothed", number)
    drawn = smoothed(scorer, seen, config.sigma, config.draws, rng).scan
    return highest, float(np.median(drawn))


def attacked_score(
    scorer: VaeScorer,
    preprocessed: Preprocessed,
    epsilon: float,
    steps: int,
    rng: np.random.Generator,
) -> float:
    """The highest scan score that projected gradient ascent found; never below the clean one.

    Args:
        scorer: on its device.
        preprocessed: the scan; only its head changes.
        epsilon: largest change of a voxel, normalised intensity.
        steps: of the attack.
        rng: draws its start.
    """
    victim = scan_victim(scorer, preprocessed, direction="alarm", threshold=0.0)
    return float(victim.scores_of(Pgd(steps=steps)(victim, epsilon, rng).margins))
