"""Trains the brain mask network on synthesised heads; no real scan is seen."""

import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from mri_guard.determinism import generator
from mri_guard.preprocess.brain_mask import network
from mri_guard.training.synthetic_heads import HeadLabels, load_head, synthesise

HELD_OUT = ("seg_09", "seg_14")
"""Label maps for choices between settings: a young head cut at the skull base, an old whole one."""

HEADS = 2
LEARNING_RATE = 2e-3
LESION_WEIGHT = 4.0
SAVE_EVERY = 50


def train_brain_mask(
    label_maps: Path,
    out: Path,
    *,
    steps: int = 1300,
    seed: int = 0,
    until: int | None = None,
    report: Callable[[str], None] | None = None,
) -> Path:
    """The weights file, `out`, written when all steps are done.

    Can be interrupted at any time: `out` with the suffix `.checkpoint` keeps the last state, and a
    second call with the same steps and seed goes on from there to the same weights.

    Args:
        label_maps: folder of whole-head label maps, `*.nii.gz`, 1 mm; those in `HELD_OUT` are left.
        out: a `.safetensors` file.
        steps: length of the schedule.
        seed: root of all draws.
        until: stop after this many steps in all, before the schedule's end.
        report: is told a line about progress from time to time.
    """
    torch.use_deterministic_algorithms(True)
    paths = [p for p in sorted(label_maps.glob("*.nii.gz")) if _stem(p) not in HELD_OUT]
    heads = [load_head(path) for path in paths]
    net = _fresh(seed)
    optimiser = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    checkpoint = out.with_suffix(".checkpoint")
    done = _resume(checkpoint, net, optimiser, {"steps": steps, "seed": seed})

    started, seen = time.monotonic(), done
    for step in range(done, steps if until is None else min(until, steps)):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        optimiser.zero_grad(set_to_none=True)
        for image, target, lesions in batch(heads, seed, step):
            with torch.autocast("cpu", torch.bfloat16, enabled=_computes_bf16()):
                logits = net(image)
            loss = mask_loss(logits.float(), target, lesions) / HEADS
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(net.parameters(), 1.0, error_if_nonfinite=True)
        optimiser.step()
        if (step + 1) % SAVE_EVERY == 0 or step + 1 in (steps, until):
            _save(checkpoint, net, optimiser, {"steps": steps, "seed": seed, "done": step + 1})
            if report:
                pace = (time.monotonic() - started) / (step + 1 - seen)
                report(f"step {step + 1}/{steps}  loss {loss.item():.4f}  {pace:.2f} s a step")
        done = step + 1

    if done == steps:
        save_file({k: v.contiguous() for k, v in net.state_dict().items()}, out)
        checkpoint.unlink()
    return out


def _computes_bf16() -> bool:
    """Whether this CPU does: half the time then; ten times as long where it is emulated."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def batch(heads: list[HeadLabels], seed: int, step: int) -> Iterator[tuple[Tensor, ...]]:
    """Image, target and lesions, (1, 1, z, 128, 128), of each head; the same for a step."""
    rng = generator(seed, "brain-mask", step)
    for _ in range(HEADS):
        drawn = synthesise(heads[int(rng.integers(len(heads)))], rng)
        yield tuple(part[None] for part in drawn)


def learning_rate(step: int, steps: int) -> float:
    """Rises over the first tenth of the steps, then falls to zero along a cosine."""
    rise = max(1, steps // 10)
    if step < rise:
        return LEARNING_RATE * (step + 1) / rise
    return LEARNING_RATE * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2


def mask_loss(logits: Tensor, targets: Tensor, lesions: Tensor) -> Tensor:
    """Cross-entropy plus one minus the soft Dice of the whole stack.

    A lesion's voxel counts `LESION_WEIGHT` times more in the entropy: a mask that loses the lesion
    hides it, while one that takes in some of the skull costs little.
    """
    probability = torch.sigmoid(logits)
    overlap = 2 * (probability * targets).sum() + 1
    dice = overlap / (probability.sum() + targets.sum() + 1)
    weight = 1 + LESION_WEIGHT * lesions
    return functional.binary_cross_entropy_with_logits(logits, targets, weight) + 1 - dice


def _fresh(seed: int) -> nn.Module:
    """The network with weights drawn from the seed, the global generator left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "brain-mask", "weights").integers(2**31)))
        return network()


def _stem(path: Path) -> str:
    return path.name.removesuffix(".nii.gz")


def _save(
    path: Path, net: nn.Module, optimiser: torch.optim.Optimizer, facts: dict[str, int]
) -> None:
    """Weights and the optimiser's moments in one safetensors file; no pickle."""
    tensors = {f"net.{name}": value.clone() for name, value in net.state_dict().items()}
    for (name, _), state in zip(net.named_parameters(), optimiser.state.values(), strict=True):
        tensors |= {f"optimiser.{key}.{name}": value.clone() for key, value in state.items()}
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"facts": json.dumps(facts)})
    part.replace(path)


def _resume(
    path: Path,
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    facts: dict[str, int],
) -> int:
    """Steps already done; loads them when the checkpoint is of the same run, else starts anew."""
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        stored = json.loads(file.metadata()["facts"])
        done = int(stored.pop("done"))
        if stored != facts:
            return 0
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    net.load_state_dict({k.removeprefix("net."): v for k, v in tensors.items() if k[:4] == "net."})
    for name, parameter in net.named_parameters():
        optimiser.state[parameter] = {
            key: tensors[f"optimiser.{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
        }
    return done
