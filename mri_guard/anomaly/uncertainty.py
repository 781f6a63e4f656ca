"""How much the map and the score depend on what the latents leave open.

A posterior that is wide says that the network cannot tell what was there. Restoring from draws of
it instead of its mean, and scoring each, spreads the map and the score by what follows from that.
It is no interval for the scan's own score, which is of the mean, nor for what another scan, another
scanner or another training would give.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mri_guard.anomaly.scorer import VaeScorer, scan_score, slice_gap_mm, tensors, volume
from mri_guard.records import Preprocessed

MEANING = (
    "What the latents' posterior leaves open in this scan, by this model: no interval for the "
    "scan's own score, and silent about another scan, another scanner or another training."
)
"""What an `Uncertainty` is and is not, for those who read its figures."""


@dataclass(frozen=True, slots=True, eq=False)
class Uncertainty:
    """Spread over draws of the latents.

    Attributes:
        map_spread: float32, (x, y, z), standard deviation of the anomaly map, in the map's unit; 0
            outside the brain.
        scores: float64, (draws,), the scan's score of each draw.
    """

    map_spread: NDArray[np.float32]
    scores: NDArray[np.float64]

    @property
    def score_mean(self) -> float:
        """Mean of the scores."""
        return float(self.scores.mean())

    @property
    def score_spread(self) -> float:
        """Standard deviation of the scores."""
        return float(self.scores.std(ddof=1))

    @property
    def score_range(self) -> tuple[float, float]:
        """5th and 95th percentile of the scores."""
        low, high = np.percentile(self.scores, (5, 95))
        return float(low), float(high)


def uncertainty(
    scorer: VaeScorer, preprocessed: Preprocessed, draws: int, rng: np.random.Generator
) -> Uncertainty:
    """Spread of map and score over draws of every level's latents (Kingma and Welling 2014,
    arXiv:1312.6114, equation 10, with the posterior as it was learnt).

    Args:
        scorer: with a `Vae`: an exported network takes the mean of its latents and draws nothing.
        preprocessed: the scan.
        draws: at least two; each costs as much as scoring the scan.
        rng: the same state gives the same draws; PyTorch's own generators are left alone.

    Raises:
        ValueError: fewer than two draws.
        SeriesError: `no-brain-found`.
    """
    if draws < 2:
        raise ValueError(f"{draws} draws; wanted at least 2 for a spread")
    device = next(scorer.model.parameters(), torch.empty(0)).device
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    drawing = replace(scorer, model=_Drawing(scorer.model, generator))
    image, brain = tensors(preprocessed, device)
    gap_mm = slice_gap_mm(preprocessed)
    scores = []
    # Welford's running sums (1962, doi:10.2307/1266577): no need to keep every map, and exactly 0
    # where all are equal.
    mean = squares = torch.zeros_like(image)
    with torch.inference_mode():
        for number in range(1, draws + 1):
            anomaly = drawing.map_tensor(image, brain, gap_mm)[0].abs()
            scores.append(float(scan_score(anomaly, brain, scorer.config)))
            change = anomaly - mean
            mean = mean + change / number
            squares = squares + change * (anomaly - mean)
    spread = (squares / (draws - 1)).sqrt()
    return Uncertainty(volume(spread), np.array(scores, dtype=np.float64))


class _Drawing(nn.Module):
    """A network that draws its latents from a generator of its own."""

    def __init__(self, model: nn.Module, generator: torch.Generator) -> None:
        super().__init__()
        self.model, self.generator = model, generator

    def forward(self, window: Tensor, position: Tensor) -> tuple[Tensor, ...]:
        """As `Vae.forward`."""
        drawn: tuple[Tensor, ...] = self.model(window, position, self.generator)
        return drawn
