"""Our attacks beside those of foolbox and pyautoattack: same model, same victims, same budget.

Half of the victims are slices of phantoms with a bright lesion, to be pushed down, half slices of
healthy ones, to be pushed up. Each lies in a stack of `--slices`, so that a gradient is affordable,
and its threshold `--away` standard deviations of the healthy slices' scores from its own score. The
model is the shipped bundle's; `--model tiny` is untrained, for a trial.

Every attack gets `--steps` gradients, Carlini-Wagner three searches of that, and an ensemble that
for each of its parts and twice as many looks without. What was really asked is counted at the
model. There all are judged too, by all that they looked at: `success` and `margin` (standard
deviations past the threshold) by the furthest look within the ball, `least` by the smallest change
that passed, root mean square over the head in 255ths. Minimal attacks and pyautoattack stop once
they pass: their margins lie near 0.

    python benchmarks/attack_libraries.py [--victims 8] [--epsilon 4] [--rms 2] [--json FILE]
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
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
from mri_guard.attacks import (
    Apgd,
    Attack,
    AutoEnsemble,
    CarliniWagner,
    DeepFool,
    Direction,
    Pgd,
    PgdL2,
    Victim,
)
from mri_guard.attacks.engine import L2, AsClassifier
from mri_guard.determinism import generator
from mri_guard.evaluation.evidence import machine
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.phantom import LesionKind, draw_parameters, render
from mri_guard.phantom.preprocessed import preprocessed
from mri_guard.records import Contrast, Preprocessed
from mri_guard.under_attack import slice_victim

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # foolbox imports from scipy's old places
    import foolbox
from pyautoattack import AutoAttack

SEARCHES = 3
"""Of Carlini and Wagner's constant."""

Run = Callable[[Victim, float], object]
"""Attacks a victim within an epsilon, normalised intensity."""


@dataclass(frozen=True)
class Contestant:
    """One attack: whose, and how it is run."""

    name: str
    whose: str
    ball: str
    run: Run


def contestants(steps: int, seed: int) -> Iterator[Contestant]:
    """Ours and theirs, those of one idea beside each other."""
    pgd = foolbox.attacks.LinfPGD(steps=steps, rel_stepsize=0.25)
    # A start at random would be spent outside the mask as well, where nothing comes of it.
    pgd_l2 = foolbox.attacks.L2PGD(steps=steps, rel_stepsize=0.25, random_start=False)
    deep_fool = foolbox.attacks.L2DeepFoolAttack(steps=steps)
    # Its first constant reaches little here in three searches, and stopping early ends it at once;
    # of four steps and constants tried these came furthest.
    carlini_wagner = foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=SEARCHES,
        steps=steps,
        stepsize=2e-3,
        initial_const=1e-2,
        abort_early=False,
    )
    ensemble = AutoEnsemble(steps=steps, looks=2 * steps)
    yield Contestant("pgd", "ours", "Linf", partial(ours, Pgd(steps=steps), seed))
    yield Contestant("pgd", "foolbox", "Linf", partial(by_foolbox, pgd, "Linf"))
    yield Contestant("apgd", "ours", "Linf", partial(ours, Apgd(steps=steps), seed))
    yield Contestant("apgd", "pyautoattack", "Linf", partial(by_autoattack, steps, seed, False))
    yield Contestant("ensemble", "ours", "Linf", partial(ours, ensemble, seed))
    yield Contestant("ensemble", "pyautoattack", "Linf", partial(by_autoattack, steps, seed, True))
    yield Contestant("pgd", "ours", "L2", partial(ours, PgdL2(steps=steps), seed))
    yield Contestant("pgd", "foolbox", "L2", partial(by_foolbox, pgd_l2, "L2"))
    yield Contestant("deep fool", "ours", "L2", partial(ours, DeepFool(steps=steps), seed))
    yield Contestant("deep fool", "foolbox", "L2", partial(by_foolbox, deep_fool, "L2"))
    penalty = CarliniWagner(searches=SEARCHES, steps=steps - 3, steps_before=9)  # 3 * steps in all
    yield Contestant("carlini-wagner", "ours", "L2", partial(ours, penalty, seed))
    yield Contestant("carlini-wagner", "foolbox", "L2", partial(by_foolbox, carlini_wagner, "L2"))


def ours(attack: Attack, seed: int, victim: Victim, epsilon: float) -> object:
    """Runs one of ours."""
    return attack(victim, epsilon, generator(seed, "libraries", attack.name))


def by_foolbox(attack: Any, ball: str, victim: Victim, epsilon: float) -> object:
    """Runs one of foolbox, in a box that cuts off nothing."""
    bound = L2(victim, epsilon).radius if ball == "L2" else epsilon
    model = AsClassifier(victim, room=bound).eval()
    seen = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    return attack(seen, model.boxed(victim.image), model.label, epsilons=model.epsilon(bound))


def by_autoattack(steps: int, seed: int, ensemble: bool, victim: Victim, epsilon: float) -> object:
    """Runs pyautoattack's APGD, and then FAB and Square: two classes have no DLR loss."""
    model = AsClassifier(victim, room=epsilon).eval()
    names = ["apgd-ce", "fab", "square"] if ensemble else ["apgd-ce"]
    bound = model.epsilon(epsilon)
    attack = AutoAttack(model, attacks=names, eps=bound, seed=seed, version="custom")
    attack.apgd.n_iter = attack.fab.n_iter = steps
    attack.apgd.n_restarts = attack.fab.n_restarts = 1
    attack.square.n_queries = 2 * steps
    return attack.run_standard_evaluation(model.boxed(victim.image), model.label)


@dataclass
class Judge:
    """A victim's scores, that count what they are asked and remember how far that came."""

    victim: Victim
    size: Callable[[Tensor], float]
    epsilon: float
    looks: int = 0
    gradients: int = 0
    margin: float = -math.inf
    least: float = math.inf

    def __call__(self, image: Tensor) -> Tensor:
        """The victim's scores."""
        scores = self.victim.scores(_Counted.apply(image, self))  # type: ignore[no-untyped-call]
        self.looks += 1
        sign = -1.0 if self.victim.direction == "evade" else 1.0
        margin = sign * (float(scores.detach()) - self.victim.threshold) / self.victim.scale
        change = (image - self.victim.image).detach()
        if self.size(change) <= self.epsilon * 1.001:  # the box rounds
            self.margin = max(self.margin, margin)
        if margin > 0:
            rms = L2(self.victim, self.epsilon).size(change)
            self.least = min(self.least, rms)
        return scores


class _Counted(torch.autograd.Function):
    """The image as it is; its gradient is counted."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, judge: Judge) -> Tensor:
        ctx.judge = judge
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.judge.gradients += 1
        return gradient, None


def main() -> None:
    """Prints the table and, where asked, writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["bundle", "tiny"], default="bundle")
    parser.add_argument("--bundle", type=Path, default=bundles.DEFAULT)
    parser.add_argument("--victims", type=int, default=8, help="4 at least")
    parser.add_argument("--slices", type=int, default=1, help="of a stack")
    parser.add_argument("--epsilon", type=float, default=4, help="Linf, 255ths")
    parser.add_argument("--rms", type=float, default=2, help="L2: root mean square, 255ths")
    parser.add_argument("--away", type=float, default=7.5, help="standard deviations")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="balls, attacks or both: L2 pgd 'Linf apgd'")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scorer, digest = scorer_of(options)
    found = victims(scorer, options)
    chosen = [
        one
        for one in contestants(options.steps, options.seed)
        if not options.only or {one.name, one.ball, f"{one.ball} {one.name}"} & set(options.only)
    ]
    epsilon = {"Linf": options.epsilon / 255, "L2": options.rms / 255}
    runs = [(one, victim) for victim in found for one in chosen]
    judged: dict[Contestant, list[dict[str, Any]]] = {one: [] for one in chosen}
    for one, victim in track(runs, "attacking", console=Console(stderr=True)):
        judged[one].append(attacked(one, victim, epsilon[one.ball]))
    rows = [row(one, each) for one, each in judged.items()]
    Console(width=118).print(table(rows))
    if options.json:
        asked = {k: v for k, v in vars(options).items() if k not in {"bundle", "json", "only"}}
        document = {"bundle_digest": digest, "machine": machine(), "options": asked, "rows": rows}
        options.json.write_text(json.dumps(document, indent=1) + "\n")


def attacked(one: Contestant, victim: Victim, epsilon: float) -> dict[str, Any]:
    """What one attack made of one victim, and what it asked for that."""
    size = L2(victim, epsilon).size if one.ball == "L2" else lambda x: float(x.abs().max())
    judge = Judge(victim, size, epsilon)
    torch.manual_seed(0)  # foolbox draws from torch
    start = time.process_time()
    one.run(replace(victim, scores=judge), epsilon)
    return {
        "direction": victim.direction,
        "margin": judge.margin,
        "least": judge.least * 255 if math.isfinite(judge.least) else None,
        "gradients": judge.gradients,
        "looks": judge.looks,
        "seconds": time.process_time() - start,
    }


def row(one: Contestant, each: list[dict[str, Any]]) -> dict[str, Any]:
    """Of all victims: success with its interval, and means."""
    count = sum(victim["margin"] > 0 for victim in each)
    low, high = clopper_pearson(count, len(each))
    means = {
        name: float(np.mean([victim[name] for victim in each]))
        for name in ("margin", "gradients", "looks", "seconds")
    }
    passed = [math.inf if victim["least"] is None else victim["least"] for victim in each]
    least = float(np.median(passed))
    return {
        "name": one.name,
        "whose": one.whose,
        "ball": one.ball,
        "success": count / len(each),
        "low": low,
        "high": high,
        "n": len(each),
        **means,
        "least": least if math.isfinite(least) else None,
        "victims": each,
    }


def table(rows: list[dict[str, Any]]) -> Table:
    """One attack a row; means a victim, of `least` the median."""
    columns = ("success", "95 %", "n", "margin", "least", "gradients", "looks", "s of processor")
    made = Table("ball", "attack", "whose", *columns)
    for one in rows:
        made.add_row(
            one["ball"],
            one["name"],
            one["whose"],
            f"{one['success']:.2f}",
            f"{one['low']:.2f}-{one['high']:.2f}",
            str(one["n"]),
            f"{one['margin']:.2f}",
            "-" if one["least"] is None else f"{one['least']:.2f}",
            f"{one['gradients']:.0f}",
            f"{one['looks']:.0f}",
            f"{one['seconds']:.1f}",
        )
    return made


def victims(scorer: VaeScorer, options: argparse.Namespace) -> list[Victim]:
    """A slice of each phantom, in turn of a healthy one to be raised and of an ill one to be
    lowered.
    """
    made: list[Victim] = []
    for number in range(max(4, options.victims)):
        direction: Direction = "evade" if number % 2 else "alarm"
        made.append(victim_of(scorer, number, direction, options))
    with torch.no_grad():
        clean = [float(victim.scores(victim.image)) for victim in made]
    scale = float(np.std(clean[::2], ddof=1))
    return [
        replace(
            victim,
            threshold=score + options.away * scale * (1 if victim.direction == "alarm" else -1),
            scale=scale,
        )
        for victim, score in zip(made, clean, strict=True)
    ]


def victim_of(
    scorer: VaeScorer, number: int, direction: Direction, options: argparse.Namespace
) -> Victim:
    """The slice with most lesion, or with most brain where there is none, among its neighbours."""
    parameters = draw_parameters(
        generator(options.seed, "libraries", "phantom", number),
        Contrast.FLAIR,
        (LesionKind.BRIGHT,) if direction == "evade" else (),
        slices=12,
        spacing_mm=12.0,
    )
    scan, lesion = preprocessed(render(parameters))
    most = int((lesion if direction == "evade" else scan.brain).sum((0, 1)).argmax())
    first = max(0, most - options.slices // 2)
    kept = slice(first, first + options.slices)
    wanted = np.arange(scan.brain.shape[2])[kept] == most
    victim = slice_victim(scorer, cut(scan, kept), wanted, direction=direction, threshold=0.0)
    if victim is None:
        raise SystemExit(f"phantom {number} has too little brain in its slice; choose another seed")
    return victim[0]


def cut(scan: Preprocessed, kept: slice) -> Preprocessed:
    """Some slices of a scan."""
    parts = {name: getattr(scan, name)[..., kept].copy() for name in ("image", "brain", "head")}
    return replace(scan, **parts)


def scorer_of(options: argparse.Namespace) -> tuple[VaeScorer, str]:
    """The bundle's and its digest, or a small untrained one."""
    if options.model == "tiny":
        return tiny(options.seed), ""
    with bundle.load(options.bundle) as kit:
        if not isinstance(kit.scorer, VaeScorer):
            raise SystemExit("the bundle's score has no gradient")
        return kit.scorer, kit.bundle_digest


def tiny(seed: int) -> VaeScorer:
    """A small untrained model, and statistics of nothing."""
    torch.manual_seed(seed)
    config = VaeConfig(model=ModelConfig(channels=(8, 16), latents=(2, 4), groups=4))
    statistics = HealthyStatistics(torch.zeros(GRID), torch.full(GRID, 0.1))
    fusion = Fusion(dict.fromkeys(KINDS, statistics), statistics, FusionConfig())
    return VaeScorer(Vae(config.model).eval().requires_grad_(False), fusion, config)


if __name__ == "__main__":
    main()
