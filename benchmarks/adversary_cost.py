"""What adversarial augmentation costs in time: training steps with each adversary, over plain ones.

Steps of the shipped configuration on phantoms, each configuration in turn round by round, seconds
of the processor: the drawing of a batch, the attack on it and the step. Checks on held-out lesions,
the same for all, are left out. Ratios are medians over rounds, with the lowest and the highest.

    OMP_NUM_THREADS=1 python -m benchmarks.adversary_cost [--rounds 8] [--steps 5]
"""

import argparse
import time

import numpy as np
import torch

from mri_guard.anomaly import Vae
from mri_guard.determinism import generator
from mri_guard.phantom import draw_parameters, render
from mri_guard.phantom.preprocessed import preprocessed
from mri_guard.records import Contrast
from mri_guard.training.adversary import Adversary, Goal, attacked
from mri_guard.training.augmentation import Appearance
from mri_guard.training.batches import Corruption, Groups, training_batch
from mri_guard.training.checkpoint import Progress
from mri_guard.training.config import TrainConfig
from mri_guard.training.data import subject_of
from mri_guard.training.mining import odds
from mri_guard.training.train import TRAINED_KINDS, train_step

SMOOTH = 0.02
"""Price of a nat that pixels move the posterior by: what a nat of rate costs at first."""

ADVERSARIES = {
    "plain": None,
    "score": Adversary(),
    "score, half of the windows": Adversary(share=0.5),
    "score, a quarter of the windows": Adversary(share=0.25),
    "posterior": Adversary(goal=Goal.POSTERIOR),
    "score, smooth encoder": Adversary(smooth=SMOOTH),
    "posterior, smooth encoder": Adversary(goal=Goal.POSTERIOR, smooth=SMOOTH),
}


def main() -> None:
    """A line for each adversary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5, help="of each adversary in a round")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    groups = heads(options.seed)
    seconds: dict[str, list[float]] = {name: [] for name in ADVERSARIES}
    runs = {name: Run(groups, one, options.seed) for name, one in ADVERSARIES.items()}
    for run in runs.values():
        run.step()  # the first one also fills caches
    for _ in range(options.rounds):
        for name, run in runs.items():
            start = time.process_time()
            for _ in range(options.steps):
                run.step()
            seconds[name].append((time.process_time() - start) / options.steps)
    print(f"{options.rounds} rounds of {options.steps} steps, {torch.get_num_threads()} threads")
    print("| adversary | seconds a step | of a plain step |\n|---|---|---|")
    plain = np.array(seconds["plain"])
    for name, each in seconds.items():
        of = np.array(each) / plain
        share = f"{np.median(of):.2f} [{of.min():.2f}, {of.max():.2f}]"
        print(f"| {name} | {np.median(each):.3f} | {share} |")


def heads(seed: int, count: int = 4) -> Groups:
    """Healthy phantoms, as training sees them."""
    config = TrainConfig().vae
    made = [
        preprocessed(render(draw_parameters(generator(seed, "heads", str(index)), Contrast.FLAIR)))
        for index in range(count)
    ]
    return [[subject_of(head, None, config) for head, _ in made]]


class Run:
    """One training, a step at a time."""

    def __init__(self, groups: Groups, adversary: Adversary | None, seed: int) -> None:
        self.groups, self.seed = groups, seed
        self.config = TrainConfig(adversary=adversary)
        torch.manual_seed(seed)
        self.model = Vae(self.config.vae.model)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.AdamW(self.model.parameters())
        levels = len(self.config.target_nats or ())
        kinds = len(TRAINED_KINDS)
        self.progress = Progress("", 0, 0, -1.0, {}, [], [self.config.beta] * levels, [1.0] * kinds)

    def step(self) -> None:
        """As `fit` takes it, past the adversary's ramp."""
        config, number = self.config, self.progress.step
        batch = training_batch(
            self.groups,
            self.seed,
            number,
            size=config.batch,
            crop_px=config.crop_px,
            corruption=Corruption(
                TRAINED_KINDS,
                odds(self.progress.difficulty),
                config.lesion_share,
                config.noise_share,
            ),
            appearance=Appearance(),
        )
        if config.adversary:
            rng = generator(self.seed, "adversary", number)
            batch = attacked(batch, self.model, config.adversary, 1.0, rng)
        train_step(
            self.model, self.optimiser, batch, config, seed=self.seed, progress=self.progress
        )
        self.progress.step += 1


if __name__ == "__main__":
    main()
