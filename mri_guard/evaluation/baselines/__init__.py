"""What embarrasses anomaly detectors: one idea a file, same mask, smoothing and scores as ours."""

from collections.abc import Collection

from rich.console import Console
from rich.progress import track

from mri_guard.errors import SettingsError
from mri_guard.evaluation.baseline_parts.material import Baseline, Material
from mri_guard.evaluation.baselines.asymmetry import Asymmetry
from mri_guard.evaluation.baselines.atlas import Atlas
from mri_guard.evaluation.baselines.atlas_asymmetry import AtlasAsymmetry
from mri_guard.evaluation.baselines.denoising_autoencoder import DenoisingAutoencoder
from mri_guard.evaluation.baselines.equalised import Equalised
from mri_guard.evaluation.baselines.head_area import HeadArea
from mri_guard.evaluation.baselines.intensity import Intensity
from mri_guard.evaluation.baselines.knn_encoder import KnnEncoder
from mri_guard.evaluation.baselines.knn_untrained import KnnUntrained
from mri_guard.evaluation.baselines.pca import Pca
from mri_guard.evaluation.baselines.pca_z import PcaZ
from mri_guard.evaluation.baselines.plain_vae import PlainVae
from mri_guard.evaluation.baselines.plain_vae_raw import PlainVaeRaw
from mri_guard.evaluation.baselines.position import Position
from mri_guard.evaluation.baselines.robust_z import RobustZ

BASELINES: tuple[type[Baseline], ...] = (
    Position,
    HeadArea,
    Intensity,
    Equalised,
    RobustZ,
    Asymmetry,
    Atlas,
    AtlasAsymmetry,
    Pca,
    PcaZ,
    KnnEncoder,
    KnnUntrained,
    PlainVae,
    PlainVaeRaw,
    DenoisingAutoencoder,
)
"""Every baseline, simplest first."""

BY_SLICE = (Position.name, HeadArea.name)
"""Those whose map says the same in all of a slice: it points at no lesion."""


def known_baselines(only: Collection[str]) -> tuple[type[Baseline], ...]:
    """Those of these names, in their order, and position; all where there are no names.

    Raises:
        SettingsError: a name is not of a baseline.
    """
    unknown = sorted(set(only) - {kind.name for kind in BASELINES})
    if unknown:
        known = ", ".join(kind.name for kind in BASELINES)
        raise SettingsError(f"no baseline is called {', '.join(unknown)}; there are {known}")
    return tuple(kind for kind in BASELINES if not only or kind.name in only or kind is Position)


def fit_baselines(
    material: Material, only: Collection[str] = (), console: Console | None = None
) -> tuple[Baseline, ...]:
    """The baselines, fitted, in their order.

    Position is always among them: no slice AUROC is to be read without it. Where the bundle has no
    encoder, there is no `knn_encoder`.

    Args:
        material: the train split.
        only: names of those that are wanted; all where empty.
        console: where progress is shown; None shows none.

    Raises:
        SettingsError: a name is not of a baseline.
    """
    kinds = [
        kind
        for kind in known_baselines(only)
        if kind is not KnnEncoder or material.encoder is not None
    ]
    shown = track(kinds, "fitting baselines", console=console, disable=console is None)
    return tuple(kind.fit(material) for kind in shown)


__all__ = [
    "BASELINES",
    "BY_SLICE",
    "Asymmetry",
    "Atlas",
    "AtlasAsymmetry",
    "DenoisingAutoencoder",
    "Equalised",
    "HeadArea",
    "Intensity",
    "KnnEncoder",
    "KnnUntrained",
    "Pca",
    "PcaZ",
    "PlainVae",
    "PlainVaeRaw",
    "Position",
    "RobustZ",
    "fit_baselines",
    "known_baselines",
]
