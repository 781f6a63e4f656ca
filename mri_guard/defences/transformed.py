"""A scorer that transforms its input before."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mri_guard.ports import Scorer
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True)
class Transformed:
    """Scores the transformed image; satisfies `ports.Scorer`.

    Attributes:
        scorer: that sees it.
        transform: from the image, float32, (x, y, z), to one like it.
    """

    scorer: Scorer
    transform: Callable[[NDArray[np.float32]], NDArray[np.float32]]

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Anomaly of the transformed image; masks are those of the image as it came."""
        return self.scorer(replace(preprocessed, image=self.transform(preprocessed.image)))
