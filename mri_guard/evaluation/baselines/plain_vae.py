"""The plain VAE with the help that ours gets: its residual in healthy units."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import HealthyStatistics, VaeConfig
from mri_guard.evaluation.baseline_parts.dense_vae import DenseVae
from mri_guard.evaluation.baseline_parts.material import Material, healthy
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box, standardised
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True, eq=False)
class PlainVae:
    """Residual of a VAE with one dense latent, in healthy spreads at that place.

    Attributes:
        vae: trained on lesion-free slices.
        statistics: of the residual in lesion-free slices of other patients.
        config: smoothing and scores as of the model beside it.
    """

    vae: DenseVae
    statistics: HealthyStatistics
    config: VaeConfig
    name: ClassVar[str] = "plain_vae"

    @classmethod
    def fit(cls, material: Material) -> "PlainVae":
        """Trained on four fifths of the patients, statistics of the others."""
        vae = DenseVae.fit(material)
        return cls(vae, healthy(material.hold_out, vae.residual), material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed |z| of the residual as the map."""
        subject = as_seen(preprocessed, self.config)
        unusual = standardised(self.vae.residual(subject), self.statistics, subject)
        return scored_box(unusual, preprocessed, self.config, both_signs=True)
