"""The plain VAE as it is mostly published: its residual as it comes."""

from dataclasses import dataclass
from typing import ClassVar

from mri_guard.anomaly import VaeConfig
from mri_guard.evaluation.baseline_parts.dense_vae import DenseVae
from mri_guard.evaluation.baseline_parts.material import Material
from mri_guard.evaluation.baseline_parts.score import as_seen, scored_box
from mri_guard.records import Anomaly, Preprocessed


@dataclass(frozen=True, slots=True, eq=False)
class PlainVaeRaw:
    """Residual of the VAE that `plain_vae` takes.

    Attributes:
        vae: trained on lesion-free slices.
        config: smoothing and scores as of the model beside it.
    """

    vae: DenseVae
    config: VaeConfig
    name: ClassVar[str] = "plain_vae_raw"

    @classmethod
    def fit(cls, material: Material) -> "PlainVaeRaw":
        """Trained on four fifths of the patients."""
        return cls(DenseVae.fit(material), material.config)

    def __call__(self, preprocessed: Preprocessed) -> Anomaly:
        """Smoothed residual, its size, as the map."""
        unusual = self.vae.residual(as_seen(preprocessed, self.config))
        return scored_box(unusual, preprocessed, self.config, both_signs=True)
