"""Training state on disk as safetensors: nothing in it can run code."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mri_guard.errors import SettingsError


@dataclass(slots=True)
class Progress:
    """How far a run has come.

    Attributes:
        run: digest of everything that decides what the run does.
        step: steps done.
        best_step: the checkpoint that is best so far; 0 before the first check.
        best_ap: its held-out average precision.
        best: its weights.
        history: one record for each check.
        prices: of a nat of each level, as the rate control has set them.
        difficulty: of each kind of lesion, as the mining estimates it.
    """

    run: str
    step: int
    best_step: int
    best_ap: float
    best: dict[str, Tensor]
    history: list[dict[str, float]]
    prices: list[float]
    difficulty: list[float]


def save(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, progress: Progress
) -> None:
    """Writes the state, whole or not at all."""
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"best.{key}": value for key, value in progress.best.items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": value for name, value in moments.items()}
    metadata = {
        "run": progress.run,
        "progress": json.dumps(
            [
                progress.step,
                progress.best_step,
                progress.best_ap,
                progress.history,
                progress.prices,
                progress.difficulty,
            ]
        ),
    }
    part = path.with_suffix(".part")
    save_file({key: value.contiguous() for key, value in tensors.items()}, part, metadata)
    part.replace(path)


def resume(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, run: str
) -> Progress | None:
    """The state that was saved, put into model and optimiser; None where there is none.

    Raises:
        SettingsError: the file is of another run, or is none.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise SettingsError(f"the checkpoint does not read: {type(error).__name__}") from error
    if metadata.get("run") != run:
        raise SettingsError(
            "the checkpoint was made with another seed, configuration, data or number of "
            "processes: "
            "remove it, or train elsewhere"
        )
    model.load_state_dict(_part(tensors, "model."))
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in _part(tensors, "optimiser.").items():
        index, name = key.split(".", 1)
        moments.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
    step, best_step, best_ap, history, prices, hard = json.loads(metadata["progress"])
    return Progress(run, step, best_step, best_ap, _part(tensors, "best."), history, prices, hard)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
