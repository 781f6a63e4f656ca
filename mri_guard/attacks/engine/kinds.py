"""What every attack says of itself: what it may change, and what it may ask."""

from enum import StrEnum
from typing import Protocol

import numpy as np

from mri_guard.attacks.engine.search import Found
from mri_guard.attacks.engine.victim import Victim


class Threat(StrEnum):
    """What an attack may change, and what its epsilon means."""

    LINF = "linf"
    """Each voxel by at most epsilon, normalised intensity."""
    L2 = "l2"
    """Voxels by at most epsilon in root mean square over the mask, normalised intensity."""
    PATCH = "patch"
    """A visible patch; epsilon is the share of the mask's voxels that it covers."""
    PHYSICAL = "physical"
    """What a scanner does too; epsilon is its strength, in the unit that the attack tells."""


class Access(StrEnum):
    """What an attack may ask of its victim."""

    GRADIENT = "gradient"
    SCORE = "score"
    """Scores alone, each look counted."""
    DECISION = "decision"
    """Whether the threshold is passed, alone."""


class Attack(Protocol):
    """Moves a victim's scores within a budget; its fields are all that sets it."""

    @property
    def name(self) -> str:
        """The attack's name, equal to its file's."""

    @property
    def threat(self) -> Threat:
        """What it may change."""

    @property
    def access(self) -> Access:
        """What it may ask."""

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator, /) -> Found:
        """The furthest that it came; never less far than the clean image."""
