"""Networks of baselines: seeded, trained in minutes, and kept where they may be kept."""

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mri_guard.determinism import generator
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.training.data import Subject
from mri_guard.training.train import deterministic

N = TypeVar("N", bound=nn.Module)

LEARNING_RATE = 1e-3


def seeded(build: Callable[[], N], seed: int, *use: str) -> N:
    """What `build` makes, its weights drawn from the seed; other draws are left as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, *use).integers(2**62)))
        return build()


def trained(
    name: str, network: N, loss: Callable[[N, np.random.Generator], Tensor], material: Material
) -> N:
    """The network after training, in evaluation mode.

    Its weights are taken from `material.folder` where they lie there, made by the same code from
    the same data, steps and seed; else they are trained and left there.

    Args:
        name: of the file.
        network: with its first weights; it is the one that is trained.
        loss: of one batch, whose draws come from the generator.
        material: its slices to learn from, its steps, its seed.
    """
    path = material.folder / f"{name}.safetensors"
    run = _digest(name, network, loss, material)
    if not _resume(path, network, run):
        _train(name, network, loss, material)
        material.folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        state = {key: value.contiguous() for key, value in network.state_dict().items()}
        save_file(state, part, {"run": run})
        part.replace(path)
    network.requires_grad_(False)
    return network.eval()


def random_slice(subjects: Sequence[Subject], rng: np.random.Generator) -> tuple[Subject, int]:
    """A subject, and one of its lesion-free slices, each alike."""
    subject = subjects[int(rng.integers(len(subjects)))]
    return subject, int(rng.choice(subject.centres))


def _train(
    name: str, network: N, loss: Callable[[N, np.random.Generator], Tensor], material: Material
) -> None:
    """Adam along a cosine."""
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    network.train()
    with deterministic(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(material.seed, name, "latents").integers(2**62)))
        for step in range(material.steps):
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * step / material.steps))
            optimiser.zero_grad(set_to_none=True)
            value = loss(network, generator(material.seed, name, "batch", step))
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()


def _resume(path: Path, network: nn.Module, run: str) -> bool:
    """Whether the file holds this run; if so, the network has its weights."""
    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            if (file.metadata() or {}).get("run") != run:
                return False
            network.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118 - no mapping
    except SafetensorError:
        return False  # cut off; it is made again
    return True


def _digest(name: str, network: nn.Module, loss: Callable[..., Tensor], material: Material) -> str:
    """SHA-256 of all that decides the weights, hex."""
    sha = hashlib.sha256(f"{name} {network} {material.steps} {material.seed}".encode())
    sha.update(Path(__file__).read_bytes() + Path(inspect.getfile(loss)).read_bytes())
    for subject in material.learn:
        sha.update(subject.image.tobytes() + subject.brain.tobytes() + subject.centres.tobytes())
    return sha.hexdigest()
