"""How the model is trained: the default for a laptop, and two for a large GPU."""

from pydantic import Field, model_validator

from mri_guard.anomaly import FusionConfig, ModelConfig, VaeConfig
from mri_guard.records import Record
from mri_guard.training.adversary import Adversary
from mri_guard.training.augmentation import Appearance

SCORED = VaeConfig(fusion=FusionConfig(own_share=0.2, field_order=3))
"""As new bundles score: what an attacker can move of the scan's own spread counts little, and a
smooth field that he lays over it next to nothing. See `docs/decisions/0013`."""


class TrainConfig(Record):
    """How the model is trained.

    Attributes:
        vae: the model and how it is scored.
        steps: gradient steps.
        batch: windows a step.
        crop_px: sides of a window.
        learning_rate: largest, of AdamW; it rises over `warm_up_steps` and falls along a cosine.
        warm_up_steps: see above.
        weight_decay: of AdamW.
        beta: first price of a nat a brain pixel, in units of mean absolute error.
        beta_warm_up: share of the steps over which the price rises from 0.
        target_nats: rate that each level with a latent is steered to, finest first, nats a brain
            pixel: its price rises while it says more, and falls while it says less. None leaves
            all prices at `beta`.
        pace: largest change of the logarithm of a price in a step.
        free_nats: of a channel of the coarsest level, a place, that cost nothing.
        mine: draw kinds of lesions oftener that are not undone yet; else all alike.
        lesion_share: share of windows with synthetic lesions.
        noise_share: share of windows with coarse noise.
        appearance: of input and target alike.
        adversary: attacks windows before they are learnt from; None leaves them alone.
        lesion_weight: further weight of the error where a lesion lies.
        gradient_weight: of the error of differences between neighbouring pixels.
        ssim_weight: of 1 - SSIM.
        bf16: compute in bfloat16 where that is precise enough; half the time on a GPU.
        compile: let torch compile the network first; pays off in long runs on a GPU.
        workers: processes that draw batches ahead; they cannot know what is hard by then, so that
            `mine` must be off. 0 draws them in turn.
        check_every: steps between checks on held-out families.
        held_out_windows: of each check.
        smallest_nats: a model of lower rate is refused as collapsed, nats a brain pixel.
        smallest_undone: a model that undoes a smaller share of the held-out lesions' change is
            refused as a copy.
    """

    vae: VaeConfig = SCORED
    steps: int = Field(default=4000, ge=1)
    batch: int = Field(default=8, ge=1)
    crop_px: int = Field(default=96, ge=16)
    learning_rate: float = Field(default=2e-3, gt=0)
    warm_up_steps: int = Field(default=100, ge=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    beta: float = Field(default=0.02, ge=0)
    beta_warm_up: float = Field(default=0.2, ge=0, le=1)
    target_nats: tuple[float, ...] | None = (0.4, 0.15, 0.03, 0.02)
    pace: float = Field(default=0.02, ge=0, le=1)
    free_nats: float = Field(default=0.02, ge=0)
    mine: bool = True
    lesion_share: float = Field(default=0.75, ge=0, le=1)
    noise_share: float = Field(default=0.3, ge=0, le=1)
    appearance: Appearance = Appearance()
    adversary: Adversary | None = None
    lesion_weight: float = Field(default=2.0, ge=0)
    gradient_weight: float = Field(default=0.5, ge=0)
    ssim_weight: float = Field(default=0.05, ge=0)
    bf16: bool = False
    compile: bool = False
    workers: int = Field(default=0, ge=0)
    check_every: int = Field(default=200, ge=1)
    held_out_windows: int = Field(default=96, ge=1)
    smallest_nats: float = Field(default=0.005, ge=0)
    smallest_undone: float = Field(default=0.25, ge=0, le=1)

    @model_validator(mode="after")
    def _mines_only_in_turn(self) -> "TrainConfig":
        if self.mine and self.workers:
            raise ValueError("mine wants workers = 0: a batch drawn ahead cannot know what is hard")
        return self

    @model_validator(mode="after")
    def _a_target_for_each_level(self) -> "TrainConfig":
        levels = sum(count > 0 for count in self.vae.model.latents)
        if self.target_nats is not None and len(self.target_nats) != levels:
            raise ValueError(
                f"{len(self.target_nats)} target rates, wanted {levels}: one for each level with a "
                "latent"
            )
        return self


def large() -> TrainConfig:
    """For one large GPU: five slices at once, twelve times the width, whole brains in a window."""
    model = ModelConfig(neighbours=2, channels=(64, 128, 256, 384), latents=(4, 8, 16, 32))
    return TrainConfig(
        vae=SCORED.model_copy(update={"model": model}),
        steps=20_000,
        batch=64,
        crop_px=96,
        learning_rate=1e-3,
        warm_up_steps=500,
        mine=False,
        bf16=True,
        compile=True,
        workers=12,
        check_every=1000,
        held_out_windows=512,
    )


def volume() -> TrainConfig:
    """For one large GPU, in three dimensions: five slices at once, and all of them restored."""
    model = ModelConfig(dimensions=3, neighbours=2, channels=(32, 64, 128, 192))
    return large().model_copy(
        update={"vae": SCORED.model_copy(update={"model": model}), "batch": 16}
    )
