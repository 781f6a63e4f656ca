"""The physics of MR-physical attacks, differentiable: one kind a file.

For the same parameters each gives what its sibling in `mri_guard.artifacts` gives. Images are
magnitudes, (z, 1, x, y), k-space is that of each slice, pixels are 2 mm wide.
"""

from mri_guard.attacks.physics.chain import Chain
from mri_guard.attacks.physics.channel_noise import ChannelNoise
from mri_guard.attacks.physics.cut import cut
from mri_guard.attacks.physics.distortion import Distortion
from mri_guard.attacks.physics.ghosts import Ghosts
from mri_guard.attacks.physics.moves import Moves
from mri_guard.attacks.physics.pose import Pose
from mri_guard.attacks.physics.seek import climb, image_gradient, promise, seek, worst_in
from mri_guard.attacks.physics.smooth_field import SmoothField
from mri_guard.attacks.physics.stripes import Stripes
from mri_guard.attacks.physics.warping import Warping

__all__ = [
    "Chain",
    "ChannelNoise",
    "Distortion",
    "Ghosts",
    "Moves",
    "Pose",
    "SmoothField",
    "Stripes",
    "Warping",
    "climb",
    "cut",
    "image_gradient",
    "promise",
    "seek",
    "worst_in",
]
