"""Worst case: one attack a file, each a row of `ATTACKS`.

An attack moves a victim's scores within a budget and tells how far it came; what all of them are
made of is in `engine`.
"""

from mri_guard.attacks.apgd import Apgd
from mri_guard.attacks.auto_ensemble import AutoEnsemble
from mri_guard.attacks.bim import Bim
from mri_guard.attacks.carlini_wagner import CarliniWagner
from mri_guard.attacks.deep_fool import DeepFool
from mri_guard.attacks.engine import Access, Attack, Direction, Found, Threat, Victim
from mri_guard.attacks.fgsm import Fgsm
from mri_guard.attacks.generator_network import GeneratorNetwork
from mri_guard.attacks.mi_fgsm import MiFgsm
from mri_guard.attacks.patch_edge import PatchEdge
from mri_guard.attacks.patch_inside import PatchInside
from mri_guard.attacks.pgd import Pgd
from mri_guard.attacks.pgd_l2 import PgdL2
from mri_guard.attacks.posterior import Posterior
from mri_guard.attacks.universal import Universal

ATTACKS: tuple[type[Attack], ...] = (
    # white box, in an Linf ball
    Fgsm,
    Bim,
    MiFgsm,
    Pgd,
    Apgd,
    AutoEnsemble,
    Universal,
    Posterior,
    GeneratorNetwork,
    # white box, in an L2 ball
    PgdL2,
    DeepFool,
    CarliniWagner,
    # white box, visible
    PatchEdge,
    PatchInside,
)
"""Every attack."""

__all__ = [
    "ATTACKS",
    "Access",
    "Apgd",
    "Attack",
    "AutoEnsemble",
    "Bim",
    "CarliniWagner",
    "DeepFool",
    "Direction",
    "Fgsm",
    "Found",
    "GeneratorNetwork",
    "MiFgsm",
    "PatchEdge",
    "PatchInside",
    "Pgd",
    "PgdL2",
    "Posterior",
    "Threat",
    "Universal",
    "Victim",
]
