"""A trained model on disk: a run that is done is read, not done again."""

import fcntl
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mri_guard.anomaly import VaeConfig
from mri_guard.errors import SettingsError
from mri_guard.training.batches import Groups
from mri_guard.training.config import TrainConfig
from mri_guard.training.synthetic_lesions import Window
from mri_guard.training.train import TrainedModel, fit, run_digest

MODEL = "model.safetensors"
LOCK = "training.lock"


def fit_once(
    learn: Groups,
    hold_out: Groups,
    *,
    out: Path,
    config: TrainConfig,
    seed: int,
    made_by: str,
    shapes: Sequence[Window] = (),
    console: Console | None = None,
) -> TrainedModel:
    """The model of this run, whether fit to ship or not: from `out` where it lies, else trained.

    One process at a time trains in a folder; another one waits for it, and reads what it made. Once
    the model lies there it is taken as it is, whatever code has changed since: `made_by` in its
    report tells.

    Args:
        learn: subjects to learn from.
        hold_out: subjects that checkpoint and healthy statistics are taken from.
        out: folder of this run alone, made when missing; an interrupted run goes on from there.
        config: how to train.
        seed: root seed.
        made_by: version of the code, for the report.
        shapes: of real lesions.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: the folder holds another run.
        KeyboardInterrupt: after the checkpoint was written.
    """
    out.mkdir(parents=True, exist_ok=True)
    run = run_digest(config, seed, shapes, learn, hold_out)
    with _alone(out, console):
        if (out / MODEL).exists():
            before = _load(out / MODEL, config.vae, run)
            if before is not None:
                return before
        model = fit(
            learn,
            hold_out,
            out=out,
            config=config,
            seed=seed,
            shapes=shapes,
            console=console,
            guarded=False,
        )
        model = replace(model, report={**model.report, "made_by": made_by})
        _save(out / MODEL, model, run)
        return model


def _save(path: Path, model: TrainedModel, run: str) -> None:
    """Writes it, whole or not at all."""
    tensors = {f"vae.{key}": value for key, value in model.state.items()}
    tensors |= {f"healthy.{key}": value for key, value in model.statistics.items()}
    part = path.with_suffix(".part")
    metadata = {
        "run": run,
        "vae": model.config.model_dump_json(),
        "report": json.dumps(model.report),
    }
    save_file(tensors, part, metadata)
    part.replace(path)


def _load(path: Path, config: VaeConfig, run: str) -> TrainedModel | None:
    """None where its scores are made by another rule: what was learnt stands in the checkpoint."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise SettingsError(f"the kept model does not read: {type(error).__name__}") from error
    if metadata.get("run") != run:
        raise SettingsError(
            f"the model in {path.parent.name} was trained with another seed, configuration or "
            "data: remove it, or work in another folder"
        )
    if metadata.get("vae") != config.model_dump_json():
        return None
    parts: dict[str, dict[str, Any]] = {"vae": {}, "healthy": {}}
    for key, tensor in tensors.items():
        part, _, name = key.partition(".")
        parts[part][name] = tensor
    return TrainedModel(config, parts["vae"], parts["healthy"], json.loads(metadata["report"]))


@contextmanager
def _alone(folder: Path, console: Console | None) -> Iterator[None]:
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if console is not None:
                console.print(f"another process trains {folder.name}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
