"""How far black-box attacks come with so many looks: a phantom's slices, moved by scores alone.

To evade, the slices with lesion of a phantom are pushed below the threshold; to alarm, all slices
of a healthy one above it. The threshold is the 95th percentile of the slice scores of another
healthy phantom, and margins are in standard deviations of those. Columns: looks; what the best
image gained in mean margin after a quarter, half and all of them; what the best of each slice
gained; slices that passed the threshold, of those that had not; the median look that passed it;
seconds of the processor. `transfer` owns a crude model alone: how far a pixel is from its
surroundings. PGD with the gradient stands beside.

    python benchmarks/query_attacks.py [--queries 200] [--epsilon 4] [--only square nes] [--tiny]
"""

import argparse
import time
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import bundles
from mri_guard import bundle
from mri_guard.anomaly import ModelConfig, VaeConfig, VaeScorer, tensors
from mri_guard.anomaly.scorer import slice_scores
from mri_guard.attacks import ATTACKS, Access, Direction, Found, Pgd, Victim
from mri_guard.determinism import generator
from mri_guard.phantom import LesionKind, draw_parameters, render
from mri_guard.phantom.preprocessed import preprocessed
from mri_guard.records import Contrast, Preprocessed
from mri_guard.under_attack import slice_victim, slices_of

COLUMNS = ("", "looks", "1/4", "1/2", "1/1", "each", "passed", "at look", "seconds")


def main() -> None:
    """Compares in each direction."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=200, help="looks of each attack at most")
    parser.add_argument("--epsilon", type=float, default=4, help="in 255ths")
    parser.add_argument("--slices", type=int, default=20, help="of each phantom")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", help="attacks' names")
    parser.add_argument("--direction", choices=("evade", "alarm"), help="both when left out")
    parser.add_argument("--tiny", action="store_true", help="a small untrained model, for a trial")
    options = parser.parse_args()
    scorer = tiny() if options.tiny else shipped()
    reference, _ = phantom(options, "reference", ())
    healthy = scorer(reference).slice_scores
    threshold, scale = np.nanpercentile(healthy, 95), np.nanstd(healthy)
    directions: tuple[Direction, ...] = ("evade", "alarm")
    for direction in directions:
        if options.direction in (None, direction):
            kinds = (LesionKind.BRIGHT,) if direction == "evade" else ()
            seen, lesion = phantom(options, direction, kinds)
            made = slice_victim(
                scorer,
                seen,
                slices_of(lesion, direction),
                direction=direction,
                threshold=float(threshold),
                scale=float(scale),
            )
            if made is None:
                raise SystemExit(f"{direction}: no slice has a score; choose another seed")
            victim = replace(made[0], others=(crude(scorer, seen, made[1]),))
            compare(victim, direction, options)


def phantom(
    options: argparse.Namespace, use: str, kinds: tuple[LesionKind, ...]
) -> tuple[Preprocessed, np.ndarray[Any, np.dtype[np.bool_]]]:
    """A preprocessed phantom, and its lesion."""
    parameters = draw_parameters(
        generator(options.seed, "query-attacks", use),
        Contrast.FLAIR,
        kinds,
        slices=options.slices,
        spacing_mm=145.0 / options.slices,
    )
    return preprocessed(render(parameters))


def shipped() -> VaeScorer:
    """The bundle's."""
    config, weights, _, _ = bundle.contents(bundles.DEFAULT)
    parts = bundle.split(weights, *bundle.PARTS)
    return VaeScorer.from_tensors(config.vae, parts["vae"], parts["healthy"])


def crude(scorer: VaeScorer, seen: Preprocessed, numbers: Any) -> Any:
    """Scores of slices by how far pixels are from the mean of their surroundings."""
    brain = tensors(seen, "cpu")[1]

    def scores(image: Tensor) -> Tensor:
        around = functional.avg_pool2d(image, 15, 1, 7, count_include_pad=False)
        anomaly = functional.avg_pool2d((image - around).abs(), 5, 1, 2) * brain
        return slice_scores(anomaly[numbers], brain[numbers], scorer.config)

    return scores


def compare(victim: Victim, title: str, options: argparse.Namespace) -> None:
    """Prints a line for each attack as it ends."""
    with torch.no_grad():
        clean = victim.margins(victim.image)
    print(f"\n{title}, {options.epsilon:g}/255: {len(clean)} slices, {int((clean > 0).sum())} past")
    print("".join(f"{column:>10}" for column in COLUMNS))
    for kind in ATTACKS:
        black_box = kind.access is not Access.GRADIENT
        if (black_box or kind is Pgd) and (not options.only or kind.name in options.only):
            made: Any = kind()
            attack = replace(made, queries=options.queries) if black_box else made
            rng = generator(options.seed, "query-attacks", str(kind.name))
            start = time.process_time()
            found = attack(victim, options.epsilon / 255, rng)
            values = str(kind.name), *line(found, clean), f"{time.process_time() - start:.0f}"
            print("".join(f"{value:>10}" for value in values), flush=True)


def line(found: Found, clean: Tensor) -> list[str]:
    """What is printed of one, but for its name and time."""
    best = np.array(list(accumulate(found.history, max))) / len(clean)
    at = [max(0, round(share * found.queries) - 1) for share in (0.25, 0.5, 1)]
    reached = found.first[(found.first > 0) & (clean <= 0)]
    return [
        f"{found.queries}",
        *(f"{best[look] - best[0]:.2f}" for look in at),
        f"{float((found.margins - clean).mean()):.2f}",
        f"{len(reached)}/{int((clean <= 0).sum())}",
        f"{float(reached.float().median()):.0f}" if len(reached) else "-",
    ]


def tiny() -> VaeScorer:
    """An untrained one, whose healthy statistics are none."""
    from mri_guard.anomaly import Fusion, FusionConfig, HealthyStatistics, Vae  # noqa: PLC0415
    from mri_guard.anomaly.evidence import KINDS  # noqa: PLC0415
    from mri_guard.anomaly.residual import GRID  # noqa: PLC0415

    config = VaeConfig(model=ModelConfig(channels=(8, 16), latents=(2, 4), groups=4))
    statistics = HealthyStatistics(torch.zeros(GRID), torch.ones(GRID))
    fusion = Fusion(dict.fromkeys(KINDS, statistics), statistics, FusionConfig())
    torch.manual_seed(0)
    model = Vae(config.model).requires_grad_(False).eval()
    return VaeScorer(model, fusion, config)


if __name__ == "__main__":
    main()
