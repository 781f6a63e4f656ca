"""What is attacked, with what and how far; and what one attack came to."""

from collections.abc import Collection
from dataclasses import dataclass, field, fields
from typing import Any

from mri_guard.attacks import ATTACKS, Attack, Direction, Threat
from mri_guard.errors import SettingsError
from mri_guard.evaluation.robustness.aftermath import Aftermath
from mri_guard.evaluation.robustness.attacked import Answer, Level
from mri_guard.evaluation.robustness.sanity import Sanity
from mri_guard.metrics.bootstrap import DRAWS

OF_255 = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Budgets of attacks on every voxel, in 255ths of normalised intensity; 0 always stands beside."""

PREFERRED = ("apgd", "pgd", "square")
"""The suite where nobody says otherwise."""

PATCH = 0.02
"""Share of the mask that a patch covers."""

SCANNER_OF_255 = (4.0, 8.0)
"""Budgets whose strongest change is carried through DICOM, where they are among those asked for."""

PICTURED_OF_255 = 4.0
"""Budget that pictures show; the largest where it is not among those asked for."""

LEVELS: tuple[Level, ...] = ("slices", "scan")
DIRECTIONS: tuple[Direction, ...] = ("evade", "alarm")
WORST = "worst"
"""Stands for the furthest of all attacks on every voxel."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        attacks: the suite.
        of_255: budgets of attacks on every voxel, in 255ths of normalised intensity, rising.
        levels: what is attacked.
        by: columns of the manifest to slice by; `age` is taken in bands.
        limit: so many scans, drawn by the seed; None: all.
        sanity_scans: scans that the sanity checks look at.
        sanity: the checks.
        draws: of the bootstrap.
        seed: root seed.
    """

    attacks: tuple[Attack, ...]
    of_255: tuple[float, ...] = OF_255
    levels: tuple[Level, ...] = LEVELS
    by: tuple[str, ...] = ()
    limit: int | None = None
    sanity_scans: int = 1
    sanity: Sanity = field(default_factory=Sanity)
    draws: int = DRAWS
    seed: int = 0

    def budgets(self, attack: Attack) -> tuple[float, ...]:
        """Epsilons of an attack, rising; of a physical one what it calls realistic."""
        if attack.threat is Threat.PATCH:
            return (PATCH,)
        if attack.threat is Threat.PHYSICAL:
            return (float(attack.realistic),)  # type: ignore[attr-defined]  # every such one has it
        return tuple(one / 255 for one in self.of_255)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What came of one scan under one attack, or under none.

    Attributes:
        target: number of the scan.
        level: what was attacked.
        direction: which way.
        attack: its name; `WORST` for the furthest of those on every voxel.
        epsilon: budget; 0 without an attack.
        answer: without its change.
        tensor: what the kit makes of the changed image.
        carried: what it makes of it once it has been DICOM; None where that was not asked.
    """

    target: int
    level: Level
    direction: Direction
    attack: str
    epsilon: float
    answer: Answer
    tensor: Aftermath
    carried: Aftermath | None = None


def suite(names: Collection[str] = (), steps: int | None = None) -> tuple[Attack, ...]:
    """Attacks by name, those of `PREFERRED` where no name is given.

    Args:
        names: of attacks.
        steps: gradient steps of those that count them so; None leaves each as it is.

    Raises:
        SettingsError: there is no such attack.
    """
    kinds = {kind().name: kind for kind in ATTACKS}
    unknown = sorted(set(names) - kinds.keys())
    if unknown:
        raise SettingsError(f"no attack {', '.join(unknown)}; known are {', '.join(kinds)}")
    wanted = list(dict.fromkeys(names)) or PREFERRED
    made = []
    for name in wanted:
        kind: Any = kinds[name]
        settable = {one.name for one in fields(kind)}
        made.append(kind(steps=steps) if steps and "steps" in settable else kind())
    return tuple(made)


def goals(names: Collection[str] = ()) -> tuple[Level, ...]:
    """Levels by name, all where none is given.

    Raises:
        SettingsError: there is no such level.
    """
    unknown = sorted(set(names) - set(LEVELS))
    if unknown:
        raise SettingsError(f"no goal {', '.join(unknown)}; known are {', '.join(LEVELS)}")
    return tuple(level for level in LEVELS if not names or level in names)
