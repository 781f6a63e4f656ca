"""Trains the anomaly model. Read `train` from top to bottom."""

import hashlib
import logging
import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)
from torch import Tensor

from mri_guard.anomaly import HealthyStatistics, Vae, VaeConfig, VaeScorer, rates
from mri_guard.anomaly.frame import windows
from mri_guard.anomaly.losses import dissimilarity, gradient_l1, masked_l1, rate
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.preprocess import Preprocess
from mri_guard.readers.manifest import read_manifest
from mri_guard.records import Record
from mri_guard.training import checkpoint
from mri_guard.training.augmentation import Appearance
from mri_guard.training.batches import Batch, Groups, held_out_batches, training_batch
from mri_guard.training.data import Subject, load_subjects
from mri_guard.training.guards import Fitness, atlas_ap, measure, refuse_unfit

logger = logging.getLogger(__name__)

CHECKPOINT = "training.safetensors"


class TrainConfig(Record):
    """How the model is trained.

    Attributes:
        vae: the model and how it is scored.
        steps: gradient steps.
        batch: windows a step.
        crop_px: sides of a window.
        learning_rate: largest, of AdamW; it rises over `warm_up_steps` and falls along a cosine.
        warm_up_steps: see above.
        weight_decay: of AdamW.
        beta: price of a nat a brain pixel, in units of mean absolute error.
        beta_warm_up: share of the steps over which the price rises from 0.
        free_nats: of a channel of the coarsest level, a place, that cost nothing.
        lesion_share: share of windows with synthetic lesions.
        noise_share: share of windows with coarse noise.
        lesion_weight: further weight of the error where a lesion lies.
        gradient_weight: of the error of differences between neighbouring pixels.
        ssim_weight: of 1 - SSIM.
        check_every: steps between checks on held-out families.
        held_out_windows: of each check.
        smallest_nats: a model of lower rate is refused as collapsed, nats a brain pixel.
        smallest_undone: a model that undoes a smaller share of the held-out lesions' change is
            refused as a copy.
    """

    vae: VaeConfig = VaeConfig()
    steps: int = Field(default=2400, ge=1)
    batch: int = Field(default=16, ge=1)
    crop_px: int = Field(default=64, ge=16)
    learning_rate: float = Field(default=2e-3, gt=0)
    warm_up_steps: int = Field(default=100, ge=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    beta: float = Field(default=0.02, ge=0)
    beta_warm_up: float = Field(default=0.2, ge=0, le=1)
    free_nats: float = Field(default=0.02, ge=0)
    lesion_share: float = Field(default=0.75, ge=0, le=1)
    noise_share: float = Field(default=0.3, ge=0, le=1)
    lesion_weight: float = Field(default=2.0, ge=0)
    gradient_weight: float = Field(default=0.5, ge=0)
    ssim_weight: float = Field(default=0.05, ge=0)
    check_every: int = Field(default=200, ge=1)
    held_out_windows: int = Field(default=96, ge=1)
    smallest_nats: float = Field(default=0.005, ge=0)
    smallest_undone: float = Field(default=0.25, ge=0, le=1)


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """What a bundle needs of a run.

    Attributes:
        config: the model and how it is scored.
        state: the VAE's tensors.
        statistics: the healthy statistics' tensors.
        report: figures for the model card: data, time, fitness, history; JSON types alone.
    """

    config: VaeConfig
    state: dict[str, Tensor]
    statistics: dict[str, Tensor]
    report: dict[str, Any]

    def scorer(self) -> VaeScorer:
        """The scorer that a bundle with these tensors gives."""
        return VaeScorer.from_tensors(self.config, self.state, self.statistics)


def train(
    manifests: Sequence[Path],
    out: Path,
    config: TrainConfig,
    *,
    seed: int,
    preprocess: Preprocess,
    console: Console | None = None,
) -> TrainedModel:
    """A model fit to ship, trained on what the manifests' splits allow.

    `train` is learnt from; `validation` carries the held-out synthetic lesions that choose the
    checkpoint, and gives the healthy statistics; of both only windows at least two slices away from
    a lesion. `calibration` is left to the thresholds, which want scans that nothing was fitted on,
    and `test` to the evaluation. Ctrl-C leaves a checkpoint in `out`, from which the same call goes
    on to the same result.

    Args:
        manifests: CSV files, each drawn from as often as the others.
        out: working folder: checkpoint and cache.
        config: how to train.
        seed: root seed.
        preprocess: as the bundle will use it.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: a manifest or the checkpoint does not fit.
        UnfitModelError: posterior collapse, or a model that restores lesions too.
        KeyboardInterrupt: after the checkpoint was written.
    """
    out.mkdir(parents=True, exist_ok=True)
    learn, hold_out = (
        load_groups(manifests, split, preprocess, config.vae, cache=out / "cache", console=console)
        for split in ("train", "validation")
    )
    return fit(learn, hold_out, out=out, config=config, seed=seed, console=console)


def fit(
    learn: Groups,
    hold_out: Groups,
    *,
    out: Path,
    config: TrainConfig,
    seed: int,
    console: Console | None = None,
) -> TrainedModel:
    """A model fit to ship, from subjects in memory; arguments and errors as `train`."""
    start = time.monotonic()
    with deterministic():
        # 1. Model and optimiser, from the seed or from where an earlier run was interrupted.
        torch.manual_seed(int(generator(seed, "weights").integers(2**62)))
        model = Vae(config.vae.model)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # a fifth faster
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        run = run_digest(config, seed, learn, hold_out)
        progress = checkpoint.resume(out / CHECKPOINT, model, optimiser, run)
        if progress is None:
            progress = checkpoint.Progress(run, 0, 0, -1.0, {}, [])

        # 2. Held-out families on held-out subjects: the only thing checkpoints are chosen by.
        held_out = held_out_batches(
            hold_out,
            seed,
            size=config.batch,
            count=math.ceil(config.held_out_windows / config.batch),
            crop_px=config.crop_px,
        )

        # 3. Steps, with a check now and then.
        with _bar(console, "training", config.steps, progress.step) as advance:
            try:
                while progress.step < config.steps:
                    batch = training_batch(
                        learn,
                        seed,
                        progress.step,
                        size=config.batch,
                        crop_px=config.crop_px,
                        lesion_share=config.lesion_share,
                        noise_share=config.noise_share,
                        appearance=Appearance(),
                    )
                    figures = train_step(
                        model, optimiser, batch, config, seed=seed, step=progress.step
                    )
                    progress.step += 1
                    if progress.step % config.check_every == 0 or progress.step == config.steps:
                        _check(model, held_out, figures, progress)
                        checkpoint.save(out / CHECKPOINT, model, optimiser, progress)
                    advance(f"loss {figures['loss']:.3f}  held-out AP {progress.best_ap:.3f}")
            except KeyboardInterrupt:
                checkpoint.save(out / CHECKPOINT, model, optimiser, progress)
                raise

        # 4. The best checkpoint, refused where it has collapsed or copies what it should remove.
        model.load_state_dict(progress.best)
        fitness = measure(model, held_out)
        trivial = atlas_ap(learn, held_out)
        refuse_unfit(fitness, trivial, config.smallest_nats, config.smallest_undone)

        # 5. What healthy brains leave over that it has never seen.
        statistics = healthy_statistics(model, config.vae, hold_out)
    report = _report(
        config,
        seed,
        learn=learn,
        hold_out=hold_out,
        fitness=fitness,
        trivial=trivial,
        progress=progress,
    )
    report["seconds_of_this_call"] = round(time.monotonic() - start, 1)
    state = {key: value.contiguous().clone() for key, value in model.state_dict().items()}
    return TrainedModel(config.vae, state, statistics.tensors(), report)


def train_step(
    model: Vae,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    config: TrainConfig,
    *,
    seed: int,
    step: int,
) -> dict[str, float]:
    """One step; its loss, error and rate (nats a brain pixel)."""
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * _schedule(step, config)
    noise = torch.Generator().manual_seed(int(generator(seed, "latents", step).integers(2**62)))

    model.train()
    window = batch.window.contiguous(memory_format=torch.channels_last)
    restored, posteriors = model(window, batch.position, noise)
    weight = batch.brain * (1 + config.lesion_weight * batch.lesion)
    error = masked_l1(restored, batch.target, weight)
    nats = rate(rates(posteriors), batch.brain.sum(), config.free_nats)
    warm = min(1.0, step / max(1.0, config.beta_warm_up * config.steps))
    loss = (
        error
        + config.gradient_weight * gradient_l1(restored, batch.target, batch.brain)
        + config.ssim_weight
        * dissimilarity(restored * batch.brain, batch.target * batch.brain, batch.brain)
        + config.beta * warm * nats
    )
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return {"loss": loss.item(), "error": error.item(), "nats": nats.item()}


def healthy_statistics(model: Vae, config: VaeConfig, groups: Groups) -> HealthyStatistics:
    """Residual statistics of lesion-free slices, through the same network as when scoring.

    Args:
        model: trained; left in evaluation mode.
        config: of the model.
        groups: held-out subjects.
    """
    model.eval()
    return HealthyStatistics.fit(
        _lesion_free_residual(model, config, subject) for group in groups for subject in group
    )


def _lesion_free_residual(
    model: Vae, config: VaeConfig, subject: Subject
) -> tuple[Tensor, Tensor, Tensor]:
    image, positions = torch.from_numpy(subject.image), torch.from_numpy(subject.positions)
    stack = windows(image, config.model.neighbours, subject.step)
    restored = torch.zeros_like(image)
    with torch.inference_mode():
        for centre in subject.centres:
            one = slice(int(centre), int(centre) + 1)
            restored[one] = model(stack[one], positions[one])[0][:, 0]
    counts = torch.zeros_like(image, dtype=torch.bool)
    counts[torch.from_numpy(subject.centres)] = True
    return image - restored, counts & torch.from_numpy(subject.brain), positions


def load_groups(
    manifests: Sequence[Path],
    split: str,
    preprocess: Preprocess,
    config: VaeConfig,
    *,
    cache: Path,
    console: Console | None,
) -> list[list[Subject]]:
    """Subjects of one split, by manifest; manifests without any are left out.

    Raises:
        SettingsError: no manifest has a lesion-free window in this split.
    """
    rows = [[row for row in read_manifest(path) if row.split == split] for path in manifests]
    groups = []
    with _bar(console, f"reading {split}", sum(map(len, rows)), 0) as advance:
        for some in rows:
            subjects = load_subjects(
                some, preprocess, config, cache=cache, progress=lambda: advance("")
            )
            if subjects:
                groups.append(subjects)
    if not groups:
        raise SettingsError(f"no lesion-free window in the {split} split of the manifests")
    return groups


def run_digest(config: TrainConfig, seed: int, *parts: Groups) -> str:
    """SHA-256 of all that decides a run, hex: an interrupted run goes on with the same only."""
    sha = hashlib.sha256(f"{config.model_dump_json()} {seed}".encode())
    for subject in (subject for groups in parts for group in groups for subject in group):
        sha.update(subject.image.tobytes() + subject.centres.tobytes())
    return sha.hexdigest()


@contextmanager
def deterministic() -> Iterator[None]:
    """Inside, operations that could give another result next time are refused."""
    before = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _schedule(step: int, config: TrainConfig) -> float:
    """Share of the largest learning rate."""
    rise = min(1.0, (step + 1) / config.warm_up_steps)
    return rise * 0.5 * (1 + math.cos(math.pi * step / config.steps))


def _check(
    model: Vae,
    held_out: Sequence[Batch],
    figures: dict[str, float],
    progress: checkpoint.Progress,
) -> None:
    """Measures on held-out families and keeps the weights where they are the best so far."""
    fitness = measure(model, held_out)
    rates_by_level = {f"nats_{i}": value for i, value in enumerate(fitness.nats_per_pixel)}
    progress.history.append(
        {
            "step": progress.step,
            "held_out_ap": fitness.held_out_ap,
            "undone": fitness.undone,
            **figures,
            **rates_by_level,
        }
    )
    if fitness.held_out_ap > progress.best_ap:
        progress.best_step, progress.best_ap = progress.step, fitness.held_out_ap
        progress.best = {key: value.clone() for key, value in model.state_dict().items()}


def _report(
    config: TrainConfig,
    seed: int,
    *,
    learn: Groups,
    hold_out: Groups,
    fitness: Fitness,
    trivial: float,
    progress: checkpoint.Progress,
) -> dict[str, Any]:
    def count(groups: Groups) -> dict[str, int]:
        subjects: Iterable[Subject] = [subject for group in groups for subject in group]
        windows_ = sum(len(subject.centres) for subject in subjects)
        return {"scans": sum(map(len, groups)), "lesion_free_windows": windows_}

    return {
        "seed": seed,
        "train_config": config.model_dump(mode="json", exclude={"vae"}),
        "learnt_from": count(learn),
        "healthy_statistics_from": count(hold_out),
        "fitness": fitness.model_dump(mode="json"),
        "atlas_held_out_ap": trivial,
        "chosen_step": progress.best_step,
        "history": progress.history,
    }


@contextmanager
def _bar(console: Console | None, what: str, total: int, done: int) -> Iterator[Any]:
    """A progress bar's advance, taking a note; does nothing without a console."""
    if console is None:
        yield lambda _note: None
        return
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda note: bar.update(task, advance=1, description=note)
