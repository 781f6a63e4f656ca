"""Processes of one machine that train together, a device each, as torchrun starts them.

Each draws windows of its own and they average their gradients, so that all hold the same weights.
One of them leads: it alone checks, writes and shows, while the others wait for it.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from mri_guard.anomaly import Vae
from mri_guard.errors import SettingsError

PATIENCE = timedelta(hours=6)
"""That processes wait for one another: the lead preprocesses every scan first."""


@dataclass(frozen=True, slots=True)
class Team:
    """This process among those that train together.

    Attributes:
        rank: which it is; 0 leads.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process checks, writes and shows."""
        return self.rank == 0

    def number(self, step: int) -> int:
        """Number of what this process draws in a step: its own, and alone that of the step."""
        return step * self.size + self.rank

    def share(self, batch: int) -> int:
        """Windows of a step's batch that this process draws.

        Raises:
            SettingsError: the batch cannot be shared out evenly.
        """
        if batch % self.size:
            raise SettingsError(f"a batch of {batch} windows, wanted a multiple of {self.size}")
        return batch // self.size

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model, its weights those of the lead and its gradients averaged over the team."""
        return model if self.size == 1 else DistributedDataParallel(model)

    def mean(self, values: Sequence[float]) -> list[float]:
        """Mean of each value over the team, the same in every process; all wait for the last."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(total)
        return [float(value) / self.size for value in total]

    @contextmanager
    def lead_first(self) -> Iterator[None]:
        """The block, which the others enter once the lead has left it: what it wrote is there."""
        if not self.leads:
            self.mean([0.0])
        yield
        if self.leads:
            self.mean([0.0])

    @contextmanager
    def interrupts(self) -> Iterator[Callable[[], bool]]:
        """Tells whether any process was to end, by Ctrl-C or SIGTERM; all ask after each step.

        A process that left in the middle of a step would keep the others waiting. Alone nothing
        has to wait, and Ctrl-C raises `KeyboardInterrupt` as ever.
        """
        if self.size == 1:
            yield lambda: False
            return
        told: list[int] = []
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {n: signal.signal(n, lambda number, _: told.append(number)) for n in numbers}
        try:
            yield lambda: self.mean([len(told)])[0] > 0
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def leave(self) -> None:
        """Ends the common work, all at the same step: the lead goes on alone.

        Raises:
            SystemExit: in every process but the lead, with status 0: nothing is left for it to do.
        """
        if self.size > 1:
            distributed.destroy_process_group()
        if not self.leads:
            raise SystemExit(0)


ALONE = Team()


def own(model: nn.Module) -> Vae:
    """The network itself, which `Team.parallel` may have wrapped: for a look without a gradient."""
    inside = model.module if isinstance(model, DistributedDataParallel) else model
    if not isinstance(inside, Vae):
        raise TypeError(f"{type(inside).__name__}; wanted a Vae")
    return inside


def join(device: torch.device | str) -> tuple[Team, torch.device]:
    """The team that the environment tells of (WORLD_SIZE, RANK, LOCAL_RANK), and the device of this
    process: the GPU of its local rank where a GPU is wanted. Without WORLD_SIZE, a team of one.

    Raises:
        SettingsError: one GPU is named for several processes.
    """
    wanted, size = torch.device(device), int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE, wanted
    if wanted.type == "cuda":
        if wanted != torch.device("cuda"):
            raise SettingsError(f"{size} processes on {wanted}; wanted cuda: a GPU for each")
        wanted = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(wanted)
    # What goes over the CPU, figures and interrupts, needs gloo beside NCCL.
    backend = "gloo" if wanted.type == "cpu" else "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend, timeout=PATIENCE)
    return Team(distributed.get_rank(), size), wanted
