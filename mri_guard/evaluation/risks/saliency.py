"""Saliency sanity: does the anomaly map depend on what the network has learnt?

Weights are drawn anew, as they were before training, layer by layer from the output to the input
(cascading randomisation; Adebayo et al. 2018, arXiv:1810.03292, section 3). A map that stays as it
was shows the image, not the model. The map is a sum, and the atlas and the asymmetry in it ask no
network: so the residual's part is told apart, and beside the whole map stands what a map of those
two alone has in common with it. A network that says nothing true can leave less than that: its
residual is in the sum too, and hides them.

Every scan gets weights of its own. The network itself is not touched: copies are drawn anew.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from scipy import stats
from torch import Tensor

from mri_guard.anomaly import Vae, VaeScorer, evidence, slice_gap_mm, tensors
from mri_guard.anomaly.losses import structural_similarity
from mri_guard.determinism import generator
from mri_guard.evaluation.evidence import SIGNED, Metric, resampled
from mri_guard.evaluation.risks.scene import Examined, whole
from mri_guard.metrics.by_patient import Counts, Means, Values
from mri_guard.records import Preprocessed

MAPS = {
    "map": "the anomaly map, without its sign",
    "residual": "the part of the anomaly map that the restoration's residual makes, smoothed, in "
    "healthy spreads, without its sign",
}
ALL, NO_NETWORK = "all", "no network"
"""The last stage, after which no weight is as it was; and beside the stages, the map of atlas and
asymmetry alone."""

ENDINGS = {
    ALL: ("all_weights_anew", "after all weights of the network were drawn anew"),
    NO_NETWORK: ("without_network", "made of atlas and asymmetry alone, which ask no network"),
}
"""How a stage ends the name of its figures, and what it means."""

FULL_SCALE = 0.99
"""Quantile of a map inside the brain that counts as 1 for its structural similarity."""

LIKENESSES = {
    "rank_correlation": "Spearman's rank correlation over the brain's voxels",
    "ssim": "mean structural similarity over the brain's voxels, each map over its own 99th "
    "percentile, cut off at 1",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of the cascade.

    Attributes:
        name: what is drawn anew in it.
        modules: prefixes of its weights.
    """

    name: str
    modules: tuple[str, ...]


def stages(model: Vae) -> tuple[Stage, ...]:
    """From the output to the input: the last step leaves no weight as it was."""
    last = len(model.config.channels) - 1
    decoder = [
        Stage(
            f"decoder level {level}",
            (f"decode.{level}.", f"prompt.{level}.", *([f"up.{level}."] if level < last else [])),
        )
        for level in range(last + 1)
    ]
    encoder = [
        Stage(
            f"encoder level {level}",
            (f"posterior.{level}.", f"encode.{level}.", *([f"down.{level - 1}."] if level else [])),
        )
        for level in reversed(range(last + 1))
    ]
    return (Stage("head", ("head.",)), *decoder, *encoder, Stage("stem", ("stem.",)))


def drawn_anew(model: Vae, modules: Sequence[str], rng: np.random.Generator) -> Vae:
    """A copy of which some modules have weights as before training; the model stays as it is.

    Args:
        model: to copy.
        modules: prefixes of the weights' names.
        rng: draws them; one state of it gives the same weights for more modules and for fewer.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        fresh = Vae(model.config).state_dict()
    copy = deepcopy(model)
    copy.load_state_dict(
        {
            name: fresh[name] if name.startswith(tuple(modules)) else weight
            for name, weight in model.state_dict().items()
        }
    )
    return copy


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What is compared, inside the brain alone.

    Attributes:
        by_name: (z, x, y), not negative, of each of `MAPS`.
        inside: bool, (z, x, y).
    """

    by_name: dict[str, Tensor]
    inside: Tensor


def maps(scorer: VaeScorer, preprocessed: Preprocessed) -> Maps:
    """Both maps of a scan, by a scorer as `whole` takes it."""
    _, model, fusion = whole(scorer)
    device = next(model.parameters()).device
    image, brain = tensors(preprocessed, device)
    gap_mm = slice_gap_mm(preprocessed)
    with torch.inference_mode():
        restored, view = scorer.restored_tensor(image, brain, gap_mm)
        positions = view.frame.positions(device)
        found = evidence(view.seen, view.inside, restored, positions, gap_mm)
        both = {"map": fusion(found), "residual": fusion.part(found, "restoration")}
    return Maps({part: one.abs().cpu() for part, one in both.items()}, view.inside.cpu())


def rank_correlation(one: Tensor, other: Tensor, inside: Tensor) -> float:
    """Spearman's rank correlation inside the brain; 0 where a map is the same everywhere."""
    ranks = [stats.rankdata(values[inside].double().numpy()) for values in (one, other)]
    if min(map(np.ptp, ranks)) == 0:
        return 0.0
    return float(np.corrcoef(ranks)[0, 1])


def ssim(one: Tensor, other: Tensor, inside: Tensor) -> float:
    """Mean structural similarity inside the brain, each map on its own scale."""
    scaled = [
        (values / max(float(np.quantile(values[inside].numpy(), FULL_SCALE)), 1e-9)).clamp(max=1)
        for values in (one, other)
    ]
    local = structural_similarity(scaled[0][:, None], scaled[1][:, None])[:, 0]
    return float(local[inside].mean())


def saliency(
    scorer: VaeScorer,
    scans: Sequence[Examined],
    counts: Counts,
    *,
    seed: int,
    console: Console | None = None,
) -> tuple[dict[str, Metric], list[dict[str, Any]]]:
    """What the maps have in common with themselves once all weights are others, with intervals over
    patients, and a row of each stage of the cascade.

    Args:
        scorer: as `whole` takes it; its network stays as it is.
        scans: at least one.
        counts: of their patients.
        seed: of the weights.
        console: where progress is shown; None shows none.
    """
    names = [*(stage.name for stage in stages(whole(scorer)[1])[:-1]), ALL, NO_NETWORK]
    shown = track(scans, "weights anew", console=console, disable=console is None)
    alike = np.stack(
        [_cascade(scorer, scan.preprocessed, seed, number) for number, scan in enumerate(shown)]
    )
    patient = np.array([scan.patient for scan in scans], dtype=np.int64)
    metrics: dict[str, Metric] = {}
    rows: list[dict[str, Any]] = []
    for step, name in enumerate(names):
        row: dict[str, Any] = {"drawn_anew": name}
        ending, when = ENDINGS.get(name, ("", name))
        for index, (part, likeness) in enumerate(product(MAPS, LIKENESSES)):
            found = resampled(
                Means(alike[:, step, index], patient, counts.shape[1]).mean,
                counts,
                len(np.unique(patient)),
                "patients",
                f"{LIKENESSES[likeness]}, of {MAPS[part]}, and the same {when}; mean over "
                "patients, 1 where the network does not matter",
                within=SIGNED,
            )
            row[f"{part}_{likeness}"] = found.value if found else None
            if likeness == "rank_correlation":
                row[f"{part}_low"] = found.low if found else None
                row[f"{part}_high"] = found.high if found else None
            if found and ending:
                metrics[f"{part}_{likeness}_{ending}"] = found
        rows.append(row)
    return metrics, rows


def _cascade(scorer: VaeScorer, preprocessed: Preprocessed, seed: int, number: int) -> Values:
    """How alike a scan's maps are to its own after each stage and without a network, (stages + 1,
    maps x likenesses); NaN of the residual where there is no network.
    """
    _, model, fusion = whole(scorer)
    own = maps(scorer, preprocessed)
    modules: tuple[str, ...] = ()
    rows = []
    for stage in stages(model):
        modules += stage.modules
        other = drawn_anew(model, modules, generator(seed, "saliency", number))
        rows.append(_alike(own, maps(replace(scorer, model=other), preprocessed)))
    fewer = fusion.config.model_copy(update={"restoration": 0.0, "structure": 0.0})
    without = maps(replace(scorer, fusion=replace(fusion, config=fewer)), preprocessed)
    rows.append(_alike(own, Maps({"map": without.by_name["map"]}, own.inside)))
    return np.array(rows)


def _alike(own: Maps, other: Maps) -> list[float]:
    """Every likeness of every map, NaN of one that the other has not."""
    return [
        like(own.by_name[part], other.by_name[part], own.inside)
        if part in other.by_name
        else float("nan")
        for part, like in product(MAPS, (rank_correlation, ssim))
    ]
