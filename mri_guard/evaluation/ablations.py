"""What is taken away from the detector, one part at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mri_guard.anomaly import FusionConfig
from mri_guard.anomaly.evidence import KINDS
from mri_guard.records import Record
from mri_guard.training.config import TrainConfig

R = TypeVar("R", bound=Record)

FULL = "full"


def unchanged(config: R) -> R:
    """The same."""
    return config


@dataclass(frozen=True, slots=True)
class Ablation:
    """One row of the table.

    Attributes:
        name: of the row, the prefix of its metrics.
        sentence: what was taken away.
        train: the training without it; a row that leaves this and `real_shapes` alone has the full
            model's weights.
        real_shapes: whether synthetic lesions have forms of real ones.
        fusion: how evidence becomes the map without it.
        healthy_spreads: whether evidence is measured in the spreads of healthy brains.
        own_spreads: whether the map is measured in the scan's own.
    """

    name: str
    sentence: str
    train: Callable[[TrainConfig], TrainConfig] = unchanged
    real_shapes: bool = True
    fusion: Callable[[FusionConfig], FusionConfig] = unchanged
    healthy_spreads: bool = True
    own_spreads: bool = True

    @property
    def weights(self) -> str:
        """Name of the row whose weights it has."""
        trains = self.train is not unchanged or not self.real_shapes
        return self.name if trains else FULL

    @property
    def maps_anew(self) -> bool:
        """Whether its map is another than the one that its weights were trained with."""
        return not (self.fusion is unchanged and self.healthy_spreads and self.own_spreads)


def changed(config: R, **fields: object) -> R:
    """The configuration with other values, checked as a whole."""
    return type(config).model_validate({**dict(config), **fields})


def _coarsest_latent_alone(config: TrainConfig) -> TrainConfig:
    vae = config.vae
    latents = (*(0 for _ in vae.model.latents[:-1]), vae.model.latents[-1])
    return changed(
        config,
        vae=changed(vae, model=changed(vae.model, latents=latents)),
        target_nats=config.target_nats and config.target_nats[-1:],
    )


def _single_slice(config: TrainConfig) -> TrainConfig:
    vae = config.vae
    return changed(config, vae=changed(vae, model=changed(vae.model, neighbours=0)))


def _only(*kinds: str) -> Callable[[FusionConfig], FusionConfig]:
    """These kinds of evidence at their weights, a kind that has none at 1; the others at 0."""
    return lambda fusion: changed(
        fusion,
        **{kind: (fusion.weights[kind] or 1.0) if kind in kinds else 0.0 for kind in KINDS},
    )


def _without(*kinds: str) -> Callable[[FusionConfig], FusionConfig]:
    return lambda fusion: changed(fusion, **dict.fromkeys(kinds, 0.0))


ABLATIONS = (
    Ablation(FULL, "nothing taken away"),
    Ablation(
        "no_latent_skips",
        "latents at the coarsest level alone, as many and at the same target rate as there are "
        "there in full",
        train=_coarsest_latent_alone,
    ),
    Ablation(
        "no_corruption",
        "neither synthetic lesions nor coarse noise to undo",
        train=lambda config: changed(config, lesion_share=0.0, noise_share=0.0),
    ),
    Ablation(
        "no_mining",
        "all kinds of synthetic lesions drawn alike, however hard",
        train=lambda config: changed(config, mine=False),
    ),
    Ablation(
        "no_lesion_shapes",
        "synthetic lesions of noise alone, none of real forms",
        real_shapes=False,
    ),
    Ablation(
        "single_slice",
        "the slice alone, without its neighbours (so that slices two from a lesion are learnt too)",
        train=_single_slice,
    ),
    Ablation(
        "no_z_scoring",
        "the restoration's residual as it is, smoothed as in full and too dark at its share, in "
        "neither healthy nor own spreads, so that nothing else can be added; weights of full",
        fusion=_only("restoration"),
        healthy_spreads=False,
        own_spreads=False,
    ),
    Ablation(
        "no_own_spreads",
        "fused as in full, in healthy spreads alone, not in the scan's own; weights of full",
        own_spreads=False,
    ),
    Ablation(
        "dark_like_bright",
        "what is too dark counts as much as what is too bright; weights of full",
        fusion=lambda fusion: changed(fusion, dark=1.0),
    ),
    Ablation(
        "no_fusion",
        "the restoration's residual alone, in healthy and own spreads; weights of full",
        fusion=_only("restoration"),
    ),
    *(
        Ablation(
            f"only_{kind}", f"the evidence of {kind} alone; weights of full", fusion=_only(kind)
        )
        for kind in ("atlas", "asymmetry", "structure")
    ),
    *(
        Ablation(f"no_{kind}", f"fused without {kind}; weights of full", fusion=_without(kind))
        for kind in KINDS
    ),
    Ablation(
        "no_field",
        "the smooth field over the scan left in what the atlas judges",
        fusion=lambda fusion: changed(fusion, field_order=None),
    ),
    Ablation(
        "no_network",
        "atlas and asymmetry alone, which ask no network",
        fusion=_without("restoration", "structure"),
    ),
)
"""In the table's order; those that train on other windows lie together, as they read data anew."""
