"""Trains the anomaly model. Read `train` from top to bottom."""

import hashlib
import logging
import math
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
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
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from mri_guard.anomaly import (
    Evidence,
    Fusion,
    HealthyStatistics,
    Vae,
    VaeConfig,
    VaeScorer,
    evidence,
    rates,
)
from mri_guard.anomaly.losses import dissimilarity, gradient_l1, masked_l1, paid_rates
from mri_guard.anomaly.scorer import restore
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.preprocess import Preprocess
from mri_guard.readers.manifest import read_manifest
from mri_guard.records import Preprocessed
from mri_guard.training import checkpoint
from mri_guard.training.adversary import attacked, moved
from mri_guard.training.batches import (
    Batch,
    Corruption,
    Groups,
    held_out_batches,
    training_batch,
)
from mri_guard.training.config import TrainConfig
from mri_guard.training.curves import Curves
from mri_guard.training.data import Subject, load_subjects, subject_of
from mri_guard.training.distributed import ALONE, Team, join, own
from mri_guard.training.guards import (
    Fitness,
    atlas_ap,
    atlas_of,
    measure,
    refuse_unfit,
    undone_share,
)
from mri_guard.training.mining import learnt, odds
from mri_guard.training.synthetic_lesions import (
    HELD_OUT,
    TRAINED,
    Kind,
    Window,
    dark,
    kinds,
    texture,
)

logger = logging.getLogger(__name__)

CHECKPOINT = "training.safetensors"

AFTER_TRAINING = {"fusion", "top_share", "slice_top_share", "smallest_slice_px"}
"""Fields of `VaeConfig` that no step depends on."""

AS_HEALTHY = {"label": "healthy", "mask": None}
"""What a manifest would say of a scan whose lesion nobody knows of."""

MEMORY_FORMAT = {2: torch.channels_last, 3: torch.channels_last_3d}
"""By dimensions. A fifth faster in two."""

TRAINED_KINDS = kinds(TRAINED)
HELD_OUT_KINDS = kinds(HELD_OUT)
REPORTED = (*HELD_OUT, texture, dark)
"""What is hard to find: iso-intense, dark or displaced. `dark` is half of the trained `shift`."""


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
    shapes: Sequence[Window] = (),
    synthetic: Sequence[Preprocessed] = (),
    tensorboard: Path | None = None,
    device: torch.device | str = "cpu",
    console: Console | None = None,
) -> TrainedModel:
    """A model fit to ship, trained on what the manifests' splits allow.

    `train` is learnt from; `validation` carries the held-out synthetic lesions that choose the
    checkpoint, and gives the healthy statistics; of both only windows at least two slices away from
    a lesion. `calibration` is left to the thresholds, which want scans that nothing was fitted on,
    and `test` to the evaluation. Ctrl-C leaves a checkpoint in `out`, from which the same call goes
    on to the same result. Started by torchrun, its processes train together (see `distributed`).

    Args:
        manifests: CSV files, each drawn from as often as the others.
        out: working folder: checkpoint and cache.
        config: how to train.
        seed: root seed.
        preprocess: as the bundle will use it.
        shapes: of real lesions, for half of the synthetic ones; without any, all are made of noise.
        synthetic: healthy heads, learnt from as if they were one more manifest.
        tensorboard: folder for training curves; None writes none.
        device: to train on; the result lies on the CPU.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: a manifest or the checkpoint does not fit.
        UnfitModelError: posterior collapse, or a model that restores lesions too.
        KeyboardInterrupt: after the checkpoint was written.
        SystemExit: after the last step, in every process but the first.
    """
    out.mkdir(parents=True, exist_ok=True)
    team, device = join(device)
    console = console if team.leads else None
    with team.lead_first():  # two would write the same file of the cache
        learn, hold_out = (
            load_groups(
                manifests, split, preprocess, config.vae, cache=out / "cache", console=console
            )
            for split in ("train", "validation")
        )
    if synthetic:
        learn.append([subject_of(head, None, config.vae) for head in synthetic])
    model = fit(
        learn,
        hold_out,
        out=out,
        config=config,
        seed=seed,
        shapes=shapes,
        tensorboard=tensorboard,
        device=device,
        console=console,
        team=team,
    )
    return replace(model, report=model.report | {"synthetic_heads": len(synthetic)})


def fit(
    learn: Groups,
    hold_out: Groups,
    *,
    out: Path,
    config: TrainConfig,
    seed: int,
    shapes: Sequence[Window] = (),
    tensorboard: Path | None = None,
    device: torch.device | str = "cpu",
    console: Console | None = None,
    guarded: bool = True,
    team: Team = ALONE,
) -> TrainedModel:
    """A model fit to ship, from subjects in memory; arguments and errors as `train`.

    Not `guarded`, a model that must not be shipped is not refused: an ablation measures it too.
    """
    if config.mine and team.size > 1:
        raise SettingsError("mine wants one process: what is hard is learnt from the whole batch")
    start = time.monotonic()
    with deterministic():
        # 1. Model and optimiser, from the seed or from where an earlier run was interrupted.
        torch.manual_seed(int(generator(seed, "weights").integers(2**62)))
        model = Vae(config.vae.model).to(device)
        model.to(memory_format=MEMORY_FORMAT[config.vae.model.dimensions])  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        run = run_digest(config, seed, shapes, learn, hold_out, processes=team.size)
        progress = checkpoint.resume(out / CHECKPOINT, model, optimiser, run) or _begun(run, config)
        network = _network(model, config, team)  # waits until all have read the checkpoint

        # 2. Held-out families on held-out subjects: the only thing checkpoints are chosen by.
        held_out = _held_out(hold_out, seed, HELD_OUT_KINDS, config, device)

        # 3. Steps, with a check now and then.
        with (
            _bar(console, "training", config.steps, progress.step) as advance,
            Curves(tensorboard if team.leads else None, progress.step) as curves,
            team.interrupts() as interrupted,
        ):
            try:
                for batch in _batches(model, learn, config, seed, progress, shapes, team):
                    figures, nats, undone = train_step(
                        network,
                        optimiser,
                        batch,
                        config,
                        seed=seed,
                        progress=progress,
                        team=team,
                    )
                    nats = team.mean(nats)
                    progress.prices = steered(progress.prices, nats, config)
                    if config.mine:
                        kinds_drawn = [kind for _, kind in batch.drawn]
                        progress.difficulty = learnt(progress.difficulty, kinds_drawn, undone)
                    progress.step += 1
                    learning_rate = optimiser.param_groups[0]["lr"]
                    curves.step(progress.step, figures, nats, progress.prices, learning_rate)
                    due = progress.step % config.check_every == 0 or progress.step == config.steps
                    if due and team.leads:
                        _check(model, held_out, figures, progress)
                        curves.check(progress.history[-1], model, held_out[0])
                        checkpoint.save(out / CHECKPOINT, model, optimiser, progress)
                    advance(f"loss {figures['loss']:.3f}  held-out AP {progress.best_ap:.3f}")
                    if interrupted():
                        raise KeyboardInterrupt
            except KeyboardInterrupt:
                if team.leads:
                    checkpoint.save(out / CHECKPOINT, model, optimiser, progress)
                raise
        del network  # it holds the team's connections, whose threads must end first
        team.leave()

        # 4. The best checkpoint, refused where it has collapsed or copies what it should remove.
        model.load_state_dict(progress.best)
        fitness = measure(model, held_out)
        atlas = atlas_of(learn)
        trivial = atlas_ap(atlas, held_out)
        if guarded:
            refuse_unfit(fitness, trivial, config.smallest_nats, config.smallest_undone)
        families = by_family(model, atlas, hold_out, config, seed)

        # 5. What healthy brains leave over that it has never seen.
        model.to("cpu")
        fusion = Fusion.fit(healthy_evidence(model, config.vae, hold_out), config.vae.fusion)
    report = _report(
        config,
        seed,
        learn=learn,
        hold_out=hold_out,
        fitness=fitness,
        trivial=trivial,
        progress=progress,
    )
    report |= {
        "families": families,
        "seconds_of_this_call": round(time.monotonic() - start, 1),
    }
    state = {key: value.contiguous().clone() for key, value in model.state_dict().items()}
    return TrainedModel(config.vae, state, fusion.tensors(), report)


def _begun(run: str, config: TrainConfig) -> checkpoint.Progress:
    """Of a run without a step."""
    levels = sum(count > 0 for count in config.vae.model.latents)
    return checkpoint.Progress(
        run, 0, 0, -1.0, {}, [], [config.beta] * levels, [1.0] * len(TRAINED_KINDS)
    )


def _network(model: Vae, config: TrainConfig, team: Team) -> nn.Module:
    """The model as it is trained: by the whole team, and compiled if the configuration says so."""
    network = team.parallel(model)
    return cast(nn.Module, torch.compile(network)) if config.compile else network


def _batches(  # noqa: PLR0917 - all that a batch depends on
    model: Vae,
    learn: Groups,
    config: TrainConfig,
    seed: int,
    progress: checkpoint.Progress,
    shapes: Sequence[Window],
    team: Team,
) -> Iterator[Batch]:
    """This process's batches of all steps that are left, on the model's device, each as hard as
    progress says when it is drawn, and after the adversary.
    """
    size = team.share(config.batch)

    def draw(step: int) -> Batch:
        corruption = Corruption(
            TRAINED_KINDS,
            odds(progress.difficulty),
            config.lesion_share,
            config.noise_share,
            shapes,
        )
        return training_batch(
            learn,
            seed,
            team.number(step),
            size=size,
            crop_px=config.crop_px,
            corruption=corruption,
            appearance=config.appearance,
        )

    left = range(progress.step, config.steps)
    drawn = (
        map(draw, left)
        if config.workers == 0
        else DataLoader(  # a batch is a function of its step: workers need no seeds
            _ByStep(draw), batch_size=None, sampler=left, num_workers=config.workers
        )
    )
    device = next(model.parameters()).device
    for step, one in zip(left, drawn, strict=True):
        batch = one.to(device)
        if config.adversary:
            rng = generator(seed, "adversary", team.number(step))
            batch = attacked(batch, model, config.adversary, step / config.steps, rng)
        yield batch


@dataclass(frozen=True, slots=True)
class _ByStep(Dataset[Batch]):
    """What a data loader asks for batches."""

    draw: Callable[[int], Batch]

    def __getitem__(self, step: int) -> Batch:
        return self.draw(step)


def _held_out(
    groups: Groups,
    seed: int,
    kinds: Sequence[Kind],
    config: TrainConfig,
    device: torch.device | str,
) -> list[Batch]:
    """Windows with a lesion of these kinds each, on the device."""
    batches = held_out_batches(
        groups,
        seed,
        kinds,
        size=config.batch,
        count=math.ceil(config.held_out_windows / config.batch),
        crop_px=config.crop_px,
    )
    return [batch.to(device) for batch in batches]


def train_step(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    config: TrainConfig,
    *,
    seed: int,
    progress: checkpoint.Progress,
    team: Team = ALONE,
) -> tuple[dict[str, float], list[float], list[float]]:
    """One step.

    Returns:
        Loss, error and rate; the rate of each level, nats a brain pixel; and of each lesion of the
        batch the share of its window's change that was undone.
    """
    step = progress.step
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * _schedule(step, config)
    device = batch.window.device
    noise = torch.Generator(device)
    noise.manual_seed(int(generator(seed, "latents", team.number(step)).integers(2**62)))

    model.train()
    window = batch.window.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
        restored, posteriors = model(window, batch.position, noise)
    restored = restored.float()
    posteriors = [(mean.float(), log_variance.float()) for mean, log_variance in posteriors]
    weight = batch.brain * (1 + config.lesion_weight * batch.lesion)
    error = masked_l1(restored, batch.target, weight)
    nats = paid_rates(rates(posteriors), batch.brain.sum(), config.free_nats)
    warm = min(1.0, step / max(1.0, config.beta_warm_up * config.steps))
    loss = (
        error
        + config.gradient_weight * gradient_l1(restored, batch.target, batch.brain)
        + config.ssim_weight
        * dissimilarity(restored * batch.brain, batch.target * batch.brain, batch.brain)
        + warm * (nats * nats.new_tensor(progress.prices)).sum()
    )
    if config.adversary and batch.calm is not None:
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=config.bf16):
            calm = own(model).posteriors(batch.calm, batch.position)
        led = moved(posteriors, [(one.float(), other.float()) for one, other in calm])
        loss = loss + config.adversary.smooth * led / batch.brain.sum().clamp_min(1)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
    optimiser.step()
    with torch.no_grad():
        shares = undone_share(batch, restored).tolist()
    figures = {"loss": loss.item(), "error": error.item(), "nats": nats.sum().item()}
    return figures, nats.tolist(), [shares[index] for index, _ in batch.drawn]


def steered(prices: list[float], nats: list[float], config: TrainConfig) -> list[float]:
    """Prices of the next step, each moved towards its level's target rate and kept within 1000
    times `beta` either way (the proportional part of ControlVAE, Shao et al. 2020,
    arXiv:2004.05988, on the logarithm of the price).
    """
    if config.target_nats is None:
        return prices
    low, high = config.beta / 1000, config.beta * 1000
    return [
        min(high, max(low, price * math.exp(config.pace * math.tanh(rate / target - 1))))
        for price, rate, target in zip(prices, nats, config.target_nats, strict=True)
    ]


def by_family(
    model: Vae, atlas: HealthyStatistics, hold_out: Groups, config: TrainConfig, seed: int
) -> dict[str, dict[str, float]]:
    """Pixel average precision of the model and of an atlas on each family of `REPORTED`.

    On subjects that neither has seen; whether the model was trained on the family, its name tells.
    """
    found = {}
    device = next(model.parameters()).device
    for change in REPORTED:
        batches = _held_out(hold_out, seed, kinds((change,)), config, device)
        found[change.__name__] = {
            "model_ap": measure(model, batches).held_out_ap,
            "atlas_ap": atlas_ap(atlas, batches),
            "trained_on": float(change not in HELD_OUT),
        }
    return found


def healthy_evidence(
    model: Vae, config: VaeConfig, groups: Groups
) -> list[tuple[Evidence, Tensor]]:
    """What held-out subjects show, through the network as when scoring, and where without lesion.

    Args:
        model: trained; left in evaluation mode.
        config: of the model.
        groups: held-out subjects.
    """
    model.eval()
    return [_evidence(model, config, subject) for group in groups for subject in group]


def _evidence(model: Vae, config: VaeConfig, subject: Subject) -> tuple[Evidence, Tensor]:
    seen, inside, positions = (
        torch.from_numpy(part) for part in (subject.image, subject.brain, subject.positions)
    )
    with torch.inference_mode():
        restored = restore(model, config.model, seen, positions, subject.step)
        found = evidence(seen, inside, restored * inside, positions, subject.gap_mm)
    counts = torch.zeros_like(inside)
    counts[torch.from_numpy(subject.centres)] = True
    return found, counts & inside


def load_groups(
    manifests: Sequence[Path],
    split: str,
    preprocess: Preprocess,
    config: VaeConfig,
    *,
    cache: Path,
    console: Console | None,
    taken_for_healthy: Collection[Path] = (),
) -> list[list[Subject]]:
    """Subjects of one split, by manifest; manifests without any are left out.

    Args:
        manifests: CSV files.
        split: of them.
        preprocess: as the bundle will use it.
        config: of the model that will see them.
        cache: folder for preprocessed scans.
        console: where progress is shown; None shows none.
        taken_for_healthy: scans of which neither label nor mask is believed.

    Raises:
        SettingsError: no manifest has a lesion-free window in this split.
    """
    rows = [
        [
            row.model_copy(update=AS_HEALTHY) if row.scan in taken_for_healthy else row
            for row in read_manifest(path)
            if row.split == split
        ]
        for path in manifests
    ]
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


def run_digest(
    config: TrainConfig, seed: int, shapes: Sequence[Window], *parts: Groups, processes: int = 1
) -> str:
    """SHA-256 of all that decides a run, hex: an interrupted run goes on with the same only.

    How evidence becomes scores is decided after the last step, and may be decided anew.
    """
    learnt = config.model_dump_json(exclude={"vae": AFTER_TRAINING})
    sha = hashlib.sha256(f"{learnt} {seed} {processes}".encode())
    for subject in (subject for groups in parts for group in groups for subject in group):
        sha.update(subject.image.tobytes() + subject.centres.tobytes())
    for shape in shapes:
        sha.update(shape.tobytes())
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
            **_ap_by_family(model, held_out),
            **figures,
            **rates_by_level,
        }
    )
    if fitness.held_out_ap > progress.best_ap:
        progress.best_step, progress.best_ap = progress.step, fitness.held_out_ap
        progress.best = {key: value.clone() for key, value in model.state_dict().items()}


def _ap_by_family(model: Vae, held_out: Sequence[Batch]) -> dict[str, float]:
    """Held-out average precision of each family alone; of those that are there to be found."""
    found = {}
    for change in HELD_OUT:
        own = {number for number, kind in enumerate(HELD_OUT_KINDS) if kind.change is change}
        batches = [batch.of_kinds(own) for batch in held_out]
        shown = [batch for batch in batches if len(batch.window)]
        if any(bool((batch.lesion * batch.brain >= 0.5).any()) for batch in shown):
            found[f"{change.__name__}_ap"] = measure(model, shown).held_out_ap
    return found


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
