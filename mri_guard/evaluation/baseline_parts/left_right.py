"""How a subject's brain differs from its own mirror image."""

import torch
from torch import Tensor

from mri_guard import symmetry
from mri_guard.training.data import Subject


def asymmetry(subject: Subject) -> Tensor:
    """See `anomaly.symmetry.asymmetry`."""
    return symmetry.asymmetry(torch.from_numpy(subject.image), torch.from_numpy(subject.brain))
