"""What can be wrong with an image whose header is in order."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mri_guard.artifacts import Ghosting, Motion, Spike

Volume = NDArray[np.float32]
"""(x, y, z), stored values 0..4095."""

Edit = Callable[[Volume, np.random.Generator], Volume]

TOP = 4095.0
"""Of 12 bits."""

_LETTERS = {
    "M": "10001 11011 10101 10001 10001",
    "R": "11110 10001 11110 10010 10001",
    "I": "01110 00100 00100 00100 01110",
}


def constant(image: Volume, rng: np.random.Generator) -> Volume:
    """One value everywhere."""
    return np.full_like(image, 700)


def nothing(image: Volume, rng: np.random.Generator) -> Volume:
    """Zeros."""
    return np.zeros_like(image)


def noise(image: Volume, rng: np.random.Generator) -> Volume:
    """No head, only noise."""
    return np.asarray(rng.rayleigh(300, image.shape), dtype=np.float32)


def labels(image: Volume, rng: np.random.Generator) -> Volume:
    """Five values: a segmentation given as an image."""
    return np.asarray(np.floor(image / (image.max() / 4 + 1e-6)) * 100, dtype=np.float32)


def clipped(image: Volume, rng: np.random.Generator) -> Volume:
    """All above the middle of the brain is saturated."""
    return np.asarray(np.minimum(image, np.percentile(image[image > image.mean()], 40)))


def bottle(image: Volume, rng: np.random.Generator) -> Volume:
    """A ball of water, as the service technician scans it."""
    grid = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij")
    inside = sum(axis**2 for axis in grid) < 0.5
    return np.asarray(1500 * inside + rng.rayleigh(20, image.shape), dtype=np.float32)


def box(image: Volume, rng: np.random.Generator) -> Volume:
    """An edged thing with stripes."""
    made = np.zeros_like(image)
    nx, ny, nz = image.shape
    made[nx // 4 : -nx // 4, ny // 4 : -ny // 4, nz // 6 : -nz // 6] = 1000
    made[::8] *= 1.5
    return np.asarray(made + rng.rayleigh(20, image.shape), dtype=np.float32)


def inverted(image: Volume, rng: np.random.Generator) -> Volume:
    """Bright where it should be dark, inside the head."""
    top = np.percentile(image, 99)
    return np.asarray(np.where(image > 0.1 * top, np.clip(1.1 * top - image, 0, TOP), image))


def upside_down(image: Volume, rng: np.random.Generator) -> Volume:
    """The neck where the header says that the vertex is."""
    return image[:, :, ::-1]


def turned(image: Volume, rng: np.random.Generator) -> Volume:
    """The face to the side, against the header."""
    return np.ascontiguousarray(np.rot90(image, axes=(0, 1)))


def backwards(image: Volume, rng: np.random.Generator) -> Volume:
    """The face at the back, against the header."""
    return image[:, ::-1]


def top_half(image: Volume, rng: np.random.Generator) -> Volume:
    """Half a head, and air."""
    made = image.copy()
    made[:, :, : image.shape[2] // 2] = 0
    return np.asarray(made + rng.rayleigh(5, image.shape), dtype=np.float32)


def one_side(image: Volume, rng: np.random.Generator) -> Volume:
    """A head cut off at the side."""
    return np.roll(image, image.shape[0] // 3, axis=0)


def shrunk(image: Volume, rng: np.random.Generator) -> Volume:
    """A head of half its size."""
    small = ndimage.zoom(image, (0.5, 0.5, 0.5), order=1)
    made = np.zeros_like(image)
    at = [(n - m) // 2 for n, m in zip(image.shape, small.shape, strict=True)]
    made[tuple(slice(a, a + m) for a, m in zip(at, small.shape, strict=True))] = small
    return np.asarray(made + rng.rayleigh(10, image.shape), dtype=np.float32)


def drowned(image: Volume, rng: np.random.Generator) -> Volume:
    """Noise as strong as the tissue."""
    sigma = 0.5 * np.percentile(image, 95)
    real = image + rng.normal(0, sigma, image.shape)
    return np.asarray(np.hypot(real, rng.normal(0, sigma, image.shape)), dtype=np.float32)


def smeared(image: Volume, rng: np.random.Generator) -> Volume:
    """Blurred until no cortex is left."""
    return np.asarray(ndimage.gaussian_filter(image, (5, 5, 0)), dtype=np.float32)


def lettered(image: Volume, rng: np.random.Generator) -> Volume:
    """Letters burned into a corner of every slice."""
    made = image.copy()
    at = 12
    for letter in "MRI":
        glyph = np.array([[int(bit) for bit in row] for row in _LETTERS[letter].split()])
        drawn = np.kron(glyph.T, np.ones((3, 3)))
        made[at : at + 15, 12:27][drawn > 0] = TOP
        at += 18
    return made


def ghosted(image: Volume, rng: np.random.Generator) -> Volume:
    """The worst ghosts that are drawn."""
    return _scaled(image, Ghosting.draw(rng, 1.0), 3.0)


def moved(image: Volume, rng: np.random.Generator) -> Volume:
    """The worst motion that is drawn."""
    return _scaled(image, Motion.draw(rng, 1.0), 1.0)


def spiked(image: Volume, rng: np.random.Generator) -> Volume:
    """The worst spikes that are drawn."""
    return _scaled(image, Spike.draw(rng, 1.0), 1.0)


def _scaled(image: Volume, artifact: Callable[[Volume], Volume], gain: float) -> Volume:
    """An artifact in units of the image's 99th percentile, `gain` times as strong."""
    top = float(np.percentile(image, 99))
    unit = image / np.float32(top)
    changed = unit + gain * (artifact(unit) - unit)
    return np.asarray(np.clip(changed * top, 0, TOP), dtype=np.float32)


VOXEL_DEFECTS: tuple[tuple[str, tuple[str, ...], Edit], ...] = (
    ("voxels-constant", ("voxels-constant",), constant),
    ("voxels-nought", ("voxels-constant",), nothing),
    ("voxels-noise", (), noise),
    ("voxels-labels", ("dynamic-range",), labels),
    ("voxels-clipped", ("dynamic-range", "quality-clipping"), clipped),
    ("object-bottle", (), bottle),
    ("object-box", (), box),
    ("contrast-inverted", (), inverted),
    ("head-upside-down", (), upside_down),
    ("head-turned", (), turned),
    ("head-backwards", (), backwards),
    ("head-half", (), top_half),
    ("head-wrapped", (), one_side),
    ("head-of-half-size", (), shrunk),
    ("noise-drowns", (), drowned),
    ("blur-smears", (), smeared),
    ("letters-burned-in", (), lettered),
    ("ghosts", (), ghosted),
    ("motion", (), moved),
    ("spikes", (), spiked),
)
"""Name, reasons that name it rightly (any reason of the voxels where empty), and the edit."""
