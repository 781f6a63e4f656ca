"""Four synthetic studies for the demonstration: healthy, lesioned, perturbed, malformed."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread

from mri_guard.anomaly import VaeScorer, tensors
from mri_guard.anomaly.scorer import volume
from mri_guard.attacks import Pgd
from mri_guard.decision import PERTURBED
from mri_guard.determinism import generator
from mri_guard.errors import BundleError
from mri_guard.journey import Kit
from mri_guard.phantom import Lesion, LesionKind, Phantom, draw_parameters, render
from mri_guard.phantom import write_dicom_series as write
from mri_guard.preprocess.changed import changed_voxels
from mri_guard.records import Contrast, Outcome, Scan, ScanHeader
from mri_guard.under_attack import scan_victim

CONTRAST = Contrast.FLAIR
LARGEST = 4095
"""Value of 12 bits."""

ATTACK, EPSILON = Pgd(steps=10), 0.03
"""Enough to push the lesioned head's score below the shipped bundle's threshold."""

PIXELS = {"perturbed": (256, 1.0)}
"""In-plane pixels and their size, mm, where they are not the phantom's own."""

LESIONS = {"lesioned": 0.7, "perturbed": 0.4}
"""Strength of the lesion."""


@dataclass(frozen=True, slots=True)
class Study:
    """One study to send.

    Attributes:
        name: what it is.
        expected: where it should end.
        reason: the code that it should end there for; None where the outcome says it all.
        instances: DICOM datasets in the order they are sent.
    """

    name: str
    expected: Outcome
    reason: str | None
    instances: tuple[Dataset, ...]


def make_studies(kit: Kit, folder: Path, seed: int) -> list[Study]:
    """The four studies; the same seed and bundle give the same ones.

    Args:
        kit: whose score the perturbation attacks.
        folder: the series are written below it.
        seed: root seed.

    Raises:
        BundleError: the kit's score has no gradient to attack.
    """
    made = []
    for name, expected, reason in (
        ("healthy", Outcome.RELEASE, None),
        ("lesioned", Outcome.REVIEW, None),
        ("perturbed", Outcome.QUARANTINE, PERTURBED),
        ("malformed", Outcome.QUARANTINE, "pixel-data-short"),
    ):
        head = rendered(seed, name)
        voxels = perturb(head, kit, seed) if name == "perturbed" else head.voxels
        paths = write(voxels, head.affine, folder / name, CONTRAST, f"demo {seed} {name}")
        instances = tuple(dcmread(path) for path in paths)
        if name == "malformed":
            middle = instances[len(instances) // 2]
            middle.PixelData = middle.PixelData[: len(middle.PixelData) // 2]
        made.append(Study(name, expected, reason, instances))
    return made


def perturb(head: Phantom, kit: Kit, seed: int) -> NDArray[np.float32]:
    """The head's voxels, (x, y, z), 0..4095, changed a little so that its lesion goes unnoticed.

    The attack knows the score and not the detectors; who knows both gets past unnoticed, and
    with other heads so do some who do not (`docs/decisions/0011`). It works on the model's grid;
    the scanner's voxels get its change by interpolation.

    Raises:
        BundleError: the kit's score has no gradient to attack.
    """
    scorer = kit.scorer
    if not isinstance(scorer, VaeScorer):
        raise BundleError("the bundle's score has no gradient; the demonstration attacks it")
    spacing = np.linalg.norm(head.affine[:3, :3], axis=0)
    header = ScanHeader(
        contrast=CONTRAST, slice_count=head.voxels.shape[2], spacing_mm=tuple(spacing)
    )
    scan = Scan(head.voxels.astype(np.float32), head.affine, header)
    seen = kit.preprocess(scan)
    victim = scan_victim(scorer, seen, direction="evade", threshold=0.0)
    _, brain = tensors(seen, victim.image.device)
    victim = replace(victim, mask=brain)  # what lies beside it would change the brain mask alone
    found = ATTACK(victim, EPSILON, generator(seed, "demo", "attack"))
    changed = changed_voxels(scan, seen, volume(found.image - victim.image))
    return np.clip(changed, 0, LARGEST).astype(np.float32)


def rendered(seed: int, name: str) -> Phantom:
    """The head of one study; the same seed and name give the same one."""
    rng = generator(seed, "demo", name)
    parameters = draw_parameters(rng, CONTRAST)
    changes: dict[str, object] = {}
    if name in PIXELS:
        changes["in_plane"], changes["pixel_mm"] = PIXELS[name]
    if name in LESIONS:
        lesion = Lesion(
            kind=LesionKind.BRIGHT,
            radius_mm=16,
            strength=LESIONS[name],
            irregularity=0.3,
            seed=int(rng.integers(2**31)),
        )
        changes["lesions"] = (lesion,)
    return render(parameters.model_copy(update=changes))
