"""How many threads the model may take in one process."""

import os

import torch


def share_cores() -> None:
    """Leaves half of the cores to the other processes of the kit.

    Two threads beside a busy core are several times slower than one: a demonstration of 17 s took
    124 s on two cores with one of them busy, and 57 s with a single thread and more load.
    """
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // 2))
