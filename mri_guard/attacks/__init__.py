"""Worst case: one attack a file, each a row of `ATTACKS`.

An attack moves a victim's scores within a budget and tells how far it came; what all of them are
made of is in `engine`, and what MR-physical ones know of scanners in `physics`.
"""

from mri_guard.attacks.apgd import Apgd
from mri_guard.attacks.auto_ensemble import AutoEnsemble
from mri_guard.attacks.bayesian import Bayesian
from mri_guard.attacks.bias_field import BiasField
from mri_guard.attacks.bim import Bim
from mri_guard.attacks.boundary import Boundary
from mri_guard.attacks.carlini_wagner import CarliniWagner
from mri_guard.attacks.composed import Composed
from mri_guard.attacks.deep_fool import DeepFool
from mri_guard.attacks.deformation import Deformation
from mri_guard.attacks.engine import Access, Attack, Direction, Found, Threat, Victim
from mri_guard.attacks.fgsm import Fgsm
from mri_guard.attacks.generator_network import GeneratorNetwork
from mri_guard.attacks.ghosting import Ghosting
from mri_guard.attacks.gibbs import Gibbs
from mri_guard.attacks.mi_fgsm import MiFgsm
from mri_guard.attacks.motion import Motion
from mri_guard.attacks.nes import Nes
from mri_guard.attacks.patch_edge import PatchEdge
from mri_guard.attacks.patch_inside import PatchInside
from mri_guard.attacks.pgd import Pgd
from mri_guard.attacks.pgd_l2 import PgdL2
from mri_guard.attacks.posterior import Posterior
from mri_guard.attacks.rician_noise import RicianNoise
from mri_guard.attacks.spike import Spike
from mri_guard.attacks.spsa import Spsa
from mri_guard.attacks.square import Square
from mri_guard.attacks.surrogate import Surrogate
from mri_guard.attacks.transfer import Transfer
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
    # black box, queries counted
    Square,
    Nes,
    Spsa,
    Bayesian,
    Surrogate,
    Transfer,
    Boundary,
    # what scanners do, at their worst
    BiasField,
    Motion,
    Ghosting,
    Gibbs,
    Spike,
    RicianNoise,
    Deformation,
    Composed,
)
"""Every attack."""

__all__ = [
    "ATTACKS",
    "Access",
    "Apgd",
    "Attack",
    "AutoEnsemble",
    "Bayesian",
    "BiasField",
    "Bim",
    "Boundary",
    "CarliniWagner",
    "Composed",
    "DeepFool",
    "Deformation",
    "Direction",
    "Fgsm",
    "Found",
    "GeneratorNetwork",
    "Ghosting",
    "Gibbs",
    "MiFgsm",
    "Motion",
    "Nes",
    "PatchEdge",
    "PatchInside",
    "Pgd",
    "PgdL2",
    "Posterior",
    "RicianNoise",
    "Spike",
    "Spsa",
    "Square",
    "Surrogate",
    "Threat",
    "Transfer",
    "Universal",
    "Victim",
]
