"""Our attacks beside those of foolbox and pyautoattack: same model, same victims, same budget.

Each victim is one slice of a healthy phantom, in turn to be pushed up over a threshold and down
under one, that lies `--away` standard deviations of all clean slices' scores from its own score.
Success is the share of victims that pass it, always judged by our own look at what came back; ours
get as many gradients, or looks, as theirs. The tiny model is untrained: it is there to compare
attacks, and tells nothing about a detector.

    python benchmarks/attack_libraries.py --victims 8
    python benchmarks/attack_libraries.py --model bundle --victims 4 --epsilon 2
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import bundles
from mri_guard import bundle
from mri_guard.anomaly import (
    Fusion,
    FusionConfig,
    HealthyStatistics,
    ModelConfig,
    Vae,
    VaeConfig,
    VaeScorer,
)
from mri_guard.anomaly.evidence import KINDS
from mri_guard.anomaly.residual import GRID
from mri_guard.attacks import Apgd, AutoEnsemble, CarliniWagner, DeepFool, Pgd, PgdL2, Victim
from mri_guard.attacks.engine import L2, AsClassifier
from mri_guard.determinism import generator
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.phantom import draw_parameters, render
from mri_guard.phantom.preprocessed import preprocessed
from mri_guard.records import Contrast, Preprocessed
from mri_guard.under_attack import slice_victim

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # foolbox imports from scipy's old places
    import foolbox
from pyautoattack import AutoAttack

Run = Callable[[Victim, float], Tensor]
"""From a victim and an epsilon, normalised intensity, to the attacked image."""

SLICES = 5
"""Of a phantom that are kept, around the middle one, which is attacked."""


@dataclass(frozen=True)
class Contestant:
    """One attack: whose, and how it is run."""

    name: str
    whose: str
    ball: str
    run: Run


def ours(steps: int, seed: int) -> Iterator[Contestant]:
    """Our attacks, with so many gradients."""
    attacks = [
        ("pgd", Pgd(steps=steps), "Linf"),
        ("apgd", Apgd(steps=steps), "Linf"),
        ("ensemble", AutoEnsemble(steps=steps, looks=5 * steps), "Linf"),
        ("pgd", PgdL2(steps=steps), "L2"),
        ("deep fool", DeepFool(steps=steps), "L2"),
        ("carlini-wagner", CarliniWagner(steps=steps), "L2"),
    ]
    for name, attack, ball in attacks:

        def run(victim: Victim, epsilon: float, attack: Pgd | PgdL2 = attack) -> Tensor:
            return attack(victim, epsilon, generator(seed, "libraries", attack.name)).image

        yield Contestant(name, "ours", ball, run)


def foolboxes(steps: int) -> Iterator[Contestant]:
    """The same of foolbox."""
    attacks = [
        ("pgd", foolbox.attacks.LinfPGD(steps=steps, rel_stepsize=0.25), "Linf"),
        ("pgd", foolbox.attacks.L2PGD(steps=steps, rel_stepsize=0.25), "L2"),
        ("deep fool", foolbox.attacks.L2DeepFoolAttack(steps=steps), "L2"),
        (
            "carlini-wagner",
            foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=5, steps=steps),
            "L2",
        ),
    ]
    for name, attack, ball in attacks:

        def run(
            victim: Victim,
            epsilon: float,
            attack: foolbox.attacks.base.Attack = attack,
            ball: str = ball,
        ) -> Tensor:
            model = AsClassifier(victim, room=_room(victim, epsilon, ball)).eval()
            seen = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
            bound = L2(victim, epsilon).radius if ball == "L2" else epsilon
            boxed = model.boxed(victim.image)
            _, found, _ = attack(seen, boxed, model.label, epsilons=model.epsilon(bound))
            return model.image(found).detach()

        yield Contestant(name, "foolbox", ball, run)


def autoattack(steps: int, seed: int) -> Contestant:
    """The custom ensemble of pyautoattack: two classes have no DLR loss, which needs four."""

    def run(victim: Victim, epsilon: float) -> Tensor:
        model = AsClassifier(victim, room=epsilon).eval()
        names = ["apgd-ce", "fab", "square"]
        attack = AutoAttack(
            model, attacks=names, eps=model.epsilon(epsilon), seed=seed, version="custom"
        )
        attack.apgd.n_iter, attack.apgd.n_restarts = steps, 1
        attack.fab.n_iter, attack.fab.n_restarts = steps, 1
        attack.square.n_queries = 5 * steps
        found, _ = attack.run_standard_evaluation(model.boxed(victim.image), model.label)
        return model.image(found).detach()

    return Contestant("ensemble", "pyautoattack", "Linf", run)


def main() -> None:
    """Prints the table and, where asked, writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["tiny", "bundle"], default="tiny")
    parser.add_argument("--bundle", type=Path, default=bundles.DEFAULT)
    parser.add_argument("--victims", type=int, default=8)
    parser.add_argument("--epsilon", type=float, default=4, help="255ths; L2: root mean square")
    parser.add_argument("--away", type=float, default=2, help="standard deviations")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    if options.model == "bundle":
        with bundle.load(options.bundle) as kit:
            if not isinstance(kit.scorer, VaeScorer):
                raise SystemExit("the bundle's score has no gradient")
            found = victims(kit.scorer, options)
    else:
        found = victims(tiny(options.seed), options)
    rows = [
        measured(one, found, options.epsilon / 255)
        for one in (
            *ours(options.steps, options.seed),
            *foolboxes(options.steps),
            autoattack(options.steps, options.seed),
        )
    ]
    Console().print(table(sorted(rows, key=lambda row: (row["ball"], row["name"]), reverse=True)))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def measured(one: Contestant, found: list[Victim], epsilon: float) -> dict[str, object]:
    """Success with its interval, mean margin and time a victim."""
    margins, seconds = [], []
    for victim in found:
        start = time.perf_counter()
        image = one.run(victim, epsilon)
        seconds.append(time.perf_counter() - start)
        kept = size(victim, image, one.ball) <= epsilon * 1.001
        with torch.no_grad():
            # A library's minimal attack gives its change back even where it is too large.
            margins.append(float(victim.margins(image if kept else victim.image)))
    count = sum(margin > 0 for margin in margins)
    low, high = clopper_pearson(count, len(found))
    return {
        "name": one.name,
        "whose": one.whose,
        "ball": one.ball,
        "success": count / len(found),
        "low": low,
        "high": high,
        "n": len(found),
        "margin": float(np.mean(margins)),
        "seconds": float(np.mean(seconds)),
    }


def size(victim: Victim, image: Tensor, ball: str) -> float:
    """Of the change, in the ball's measure, normalised intensity."""
    change = image - victim.image
    return L2(victim, 1.0).size(change) if ball == "L2" else float(change.abs().max())


def table(rows: list[dict[str, object]]) -> Table:
    """One attack a row."""
    made = Table("ball", "attack", "whose", "success", "95 %", "n", "mean margin", "s a victim")
    for row in rows:
        made.add_row(
            str(row["ball"]),
            str(row["name"]),
            str(row["whose"]),
            f"{row['success']:.2f}",
            f"{row['low']:.2f}-{row['high']:.2f}",
            str(row["n"]),
            f"{row['margin']:.2f}",
            f"{row['seconds']:.2f}",
        )
    return made


def victims(scorer: VaeScorer, options: argparse.Namespace) -> list[Victim]:
    """A middle slice of each phantom, to be raised and lowered in turn."""
    made = []
    for number in range(options.victims):
        rng = generator(options.seed, "libraries", "phantom", number)
        scan = middle(preprocessed(render(draw_parameters(rng, Contrast.FLAIR)))[0])
        wanted = np.arange(SLICES) == SLICES // 2
        direction = "evade" if number % 2 else "alarm"
        victim = slice_victim(scorer, scan, wanted, direction=direction, threshold=0.0)
        if victim is None:
            raise SystemExit(f"phantom {number} has too little brain in its middle slice")
        made.append(victim[0])
    with torch.no_grad():
        clean = [float(victim.scores(victim.image)) for victim in made]
    scale = float(np.std(clean, ddof=1))
    return [
        replace(
            victim,
            threshold=score + options.away * scale * (1 if victim.direction == "alarm" else -1),
            scale=scale,
        )
        for victim, score in zip(made, clean, strict=True)
    ]


def middle(scan: Preprocessed) -> Preprocessed:
    """The slices around the one with most brain."""
    most = int(scan.brain.sum((0, 1)).argmax())
    kept = slice(most - SLICES // 2, most - SLICES // 2 + SLICES)
    parts = {name: getattr(scan, name)[..., kept].copy() for name in ("image", "brain", "head")}
    return replace(scan, **parts)


def tiny(seed: int) -> VaeScorer:
    """A small untrained model, and statistics of nothing."""
    torch.manual_seed(seed)
    config = VaeConfig(model=ModelConfig(channels=(8, 16), latents=(2, 4), groups=4))
    statistics = HealthyStatistics(torch.zeros(GRID), torch.full(GRID, 0.1))
    fusion = Fusion(dict.fromkeys(KINDS, statistics), statistics, FusionConfig())
    return VaeScorer(Vae(config.model).eval().requires_grad_(False), fusion, config)


def _room(victim: Victim, epsilon: float, ball: str) -> float:
    """By which a voxel may change."""
    return L2(victim, epsilon).radius if ball == "L2" and math.isfinite(epsilon) else epsilon


if __name__ == "__main__":
    main()
