"""Slices as pictures, for all who draw some.

Radiological convention throughout: the patient's right is on the left of the picture, the front on
top. Pictures are uint8, (rows, columns, 3).
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]
Value = TypeVar("Value", bound=np.generic)

MAP_UNIT = "standard deviations of the scan"
MAP_FULL_SCALE = 6.0
"""Anomaly map value, in `MAP_UNIT`, that is drawn in full strength."""
MAP_FAINTEST = 2.0
"""Below it the map is not drawn."""
MAP_OPACITY = 0.75
"""Of a value at full scale."""

BRIGHT, DARK, TRUTH = (255, 40, 40), (50, 110, 255), (120, 255, 90)
"""Colours of what is brighter and what is darker than expected, and of a true outline."""


def gray(plane: Plane, low: float = 0.0, high: float = 1.2, factor: int = 1) -> Picture:
    """One slice, black at `low` and white at `high`.

    Args:
        plane: (x, y), RAS+.
        low: of the window.
        high: of the window.
        factor: enlarged so many times, bilinear.
    """
    shown = _enlarged(_turned(plane), factor)
    level = np.clip((shown - low) / max(high - low, 1e-6), 0, 1)
    return np.repeat((level * 255).astype(np.uint8)[..., None], 3, axis=2)


def signed_overlay(below: Picture, signed: Plane) -> Picture:
    """A picture with a signed map over it: red where brighter, blue where darker than expected.

    Args:
        below: a multiple of the plane's size.
        signed: (x, y), RAS+, in `MAP_UNIT`.
    """
    turned = _turned(signed)
    return _colored(below, _enlarged(turned, below.shape[0] // turned.shape[0]))


def outlined(below: Picture, mask: Mask) -> Picture:
    """A picture with the inner edge of a mask, (x, y), RAS+, drawn over it."""
    turned = _turned(mask)
    factor = below.shape[0] // turned.shape[0]
    large = turned.repeat(factor, axis=0).repeat(factor, axis=1)
    edge = large & ~ndimage.binary_erosion(large, border_value=0)
    drawn = below.copy()
    drawn[edge] = TRUTH
    return drawn


def color_bar(width: int, height: int) -> Image.Image:
    """The scale of `signed_overlay` on mid-gray, with its ends and its unit in words."""
    values = np.linspace(-MAP_FULL_SCALE, MAP_FULL_SCALE, width, dtype=np.float32)
    bar = np.full((height, width, 3), 90, dtype=np.uint8)
    drawn = _colored(bar, np.broadcast_to(values, (height, width)))
    words = Image.new("RGB", (width, height + 18), "black")
    words.paste(Image.fromarray(drawn), (0, 0))
    draw, font = ImageDraw.Draw(words), ImageFont.load_default(12)
    top = height + 2
    draw.text((0, top), f"-{MAP_FULL_SCALE:g} darker", "white", font)
    draw.text((width // 2, top), MAP_UNIT, "white", font, anchor="ma")
    draw.text((width, top), f"brighter +{MAP_FULL_SCALE:g}", "white", font, anchor="ra")
    return words


def _colored(below: Picture, signed: Plane) -> Picture:
    """Colours in picture coordinates."""
    strength = (np.abs(signed) - MAP_FAINTEST) / (MAP_FULL_SCALE - MAP_FAINTEST)
    opacity = (MAP_OPACITY * np.sqrt(np.clip(strength, 0, 1)))[..., None]
    color = np.where(signed[..., None] > 0, np.array(BRIGHT), np.array(DARK))
    return np.asarray(below * (1 - opacity) + color * opacity, dtype=np.uint8)


def _turned(plane: NDArray[Value]) -> NDArray[Value]:
    """Columns from the patient's right to the left, rows from front to back."""
    return plane[::-1, ::-1].T


def _enlarged(plane: Plane, factor: int) -> Plane:
    rows, columns = plane.shape
    image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    larger = image.resize((columns * factor, rows * factor), Image.Resampling.BILINEAR)
    return np.asarray(larger, dtype=np.float32)
