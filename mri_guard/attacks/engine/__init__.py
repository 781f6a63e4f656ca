"""What attacks share: what is attacked, where it may change, what has been seen, how to climb."""

from mri_guard.attacks.engine.adaptive_ascent import ascend_adaptively
from mri_guard.attacks.engine.approach import approach, boundary, shortfall
from mri_guard.attacks.engine.as_classifier import AsClassifier
from mri_guard.attacks.engine.ascent import ascend
from mri_guard.attacks.engine.blocks import search_blocks
from mri_guard.attacks.engine.defended import Way, attack_defended, defended, on_stack, strongest
from mri_guard.attacks.engine.differences import bounded, slope, tiled
from mri_guard.attacks.engine.kinds import Access, Attack, Threat
from mri_guard.attacks.engine.parts import Parts
from mri_guard.attacks.engine.patch import Patch, best_patch
from mri_guard.attacks.engine.search import Found, Objective, Search
from mri_guard.attacks.engine.space import L2, Linf, Space
from mri_guard.attacks.engine.through import averaged, straight_through
from mri_guard.attacks.engine.victim import Direction, Victim

__all__ = [
    "L2",
    "Access",
    "AsClassifier",
    "Attack",
    "Direction",
    "Found",
    "Linf",
    "Objective",
    "Parts",
    "Patch",
    "Search",
    "Space",
    "Threat",
    "Victim",
    "Way",
    "approach",
    "ascend",
    "ascend_adaptively",
    "attack_defended",
    "averaged",
    "best_patch",
    "boundary",
    "bounded",
    "defended",
    "on_stack",
    "search_blocks",
    "shortfall",
    "slope",
    "straight_through",
    "strongest",
    "tiled",
]
