"""What attacks share: what is attacked, where it may change, what has been seen, how to climb."""

from mri_guard.attacks.engine.ascent import ascend
from mri_guard.attacks.engine.defended import Way, attack_defended, defended, on_stack, strongest
from mri_guard.attacks.engine.kinds import Access, Attack, Threat
from mri_guard.attacks.engine.search import Found, Objective, Search
from mri_guard.attacks.engine.space import L2, Linf, Space
from mri_guard.attacks.engine.through import averaged, straight_through
from mri_guard.attacks.engine.victim import Direction, Victim

__all__ = [
    "L2",
    "Access",
    "Attack",
    "Direction",
    "Found",
    "Linf",
    "Objective",
    "Search",
    "Space",
    "Threat",
    "Victim",
    "Way",
    "ascend",
    "attack_defended",
    "averaged",
    "defended",
    "on_stack",
    "straight_through",
    "strongest",
]
