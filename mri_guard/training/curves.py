"""A training run to look at while it runs, in TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
import torch

from mri_guard.anomaly import Vae
from mri_guard.drawing import Picture, gray
from mri_guard.errors import SettingsError
from mri_guard.training.batches import Batch

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

EVERY = 10
"""Steps between two points of a curve."""

RESTORATIONS = 4
"""Windows in the picture of a check."""

WHITE = 1.4
"""Intensity drawn white, in units of `View`: twice the brain's median."""


class Curves:
    """Writes a run's figures and restorations as it goes; without a folder it does nothing.

    A run that goes on where it was interrupted takes the place of what had been written beyond that
    step.

    Args:
        folder: of TensorBoard's event files; None writes none.
        done: steps that the run has behind it.

    Raises:
        SettingsError: there is a folder, and TensorBoard is not installed.
    """

    def __init__(self, folder: Path | None, done: int) -> None:
        self._writer = None if folder is None else _writer(folder, done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def step(
        self,
        step: int,
        figures: Mapping[str, float],
        nats: Sequence[float],
        prices: Sequence[float],
        learning_rate: float,
    ) -> None:
        """A point of each curve, every `EVERY` steps.

        Args:
            step: number of steps done.
            figures: loss and what it is made of, by name.
            nats: rate of each level, finest first, nats a brain pixel.
            prices: of a nat of each level.
            learning_rate: of this step.
        """
        if self._writer is None or step % EVERY:
            return
        levels = {f"level_{level}/nats": value for level, value in enumerate(nats)}
        levels |= {f"level_{level}/price": value for level, value in enumerate(prices)}
        self._write(step, {f"step/{name}": value for name, value in figures.items()} | levels)
        self._write(step, {"step/learning_rate": learning_rate})

    def check(self, record: Mapping[str, float], model: Vae, held_out: Batch) -> None:
        """Figures of one check, and a picture of what the model makes of held-out lesions.

        Args:
            record: as it stands in the run's history, with its `step`.
            model: left in evaluation mode.
            held_out: its first windows are restored.
        """
        if self._writer is None:
            return
        step = int(record["step"])
        figures = {f"check/{name}": value for name, value in record.items() if name != "step"}
        self._write(step, figures)
        self._writer.add_image(
            "seen, restored, left over, lesion-free",
            restorations(model, held_out),
            step,
            dataformats="HWC",
        )
        self._writer.flush()

    def _write(self, step: int, figures: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)


def restorations(model: Vae, batch: Batch) -> Picture:
    """A row for each of the first windows: seen, restored, what is left over, and without lesion.

    What is left over is gray where nothing is.

    Args:
        model: left in evaluation mode.
        batch: with at least one window.
    """
    model.eval()
    device = next(model.parameters()).device
    some = slice(0, RESTORATIONS)
    with torch.inference_mode():
        restored, _ = model(batch.window[some].to(device), batch.position[some].to(device))
    middle = batch.target.shape[1] // 2
    seen = batch.seen[some, middle].cpu()
    expected = restored[:, middle].float().cpu() * batch.brain[some, middle].cpu()
    rows = [
        np.concatenate(
            [
                gray(one, 0, WHITE, factor=2),
                gray(other, 0, WHITE, factor=2),
                gray(one - other, -WHITE / 2, WHITE / 2, factor=2),
                gray(target, 0, WHITE, factor=2),
            ],
            axis=1,
        )
        for one, other, target in zip(
            seen.numpy(), expected.numpy(), batch.target[some, middle].cpu().numpy(), strict=True
        )
    ]
    return np.concatenate(rows)


def _writer(folder: Path, done: int) -> "SummaryWriter":
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise SettingsError(
            "curves need TensorBoard, which is not installed: pip install 'mri-guard[tensorboard]'"
        ) from error
    return SummaryWriter(folder, purge_step=done + 1)
