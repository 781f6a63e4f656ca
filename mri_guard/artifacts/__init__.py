"""What scanners do to an image with nothing wrong in the brain: one artifact a file.

An artifact is drawn, then applied: `Motion.draw(rng, 0.3)` holds every parameter as a field, so
that it can be written down, and applied once more, or to another image, with the same result.

Images are magnitudes, float32, a slice (x, y) or a stack of slices (x, y, z) acquired one by one:
k-space is that of the plane, and 0 means no signal. What comes back is a magnitude too. `strength`
is a share of the worst that is drawn, which each file tells in its own unit; at 0 nothing changes.
"""

from mri_guard.artifacts.bias_field import BiasField
from mri_guard.artifacts.ghosting import Ghosting
from mri_guard.artifacts.gibbs import Gibbs
from mri_guard.artifacts.motion import Motion
from mri_guard.artifacts.rician_noise import RicianNoise
from mri_guard.artifacts.spike import Spike
from mri_guard.ports import Artifact

ARTIFACTS: tuple[type[Artifact], ...] = (BiasField, Motion, Ghosting, Gibbs, Spike, RicianNoise)
"""Every artifact, in the order in which a signal meets them on its way to the image."""

__all__ = [
    "ARTIFACTS",
    "BiasField",
    "Ghosting",
    "Gibbs",
    "Motion",
    "RicianNoise",
    "Spike",
]
