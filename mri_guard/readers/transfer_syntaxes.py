"""The transfer syntaxes whose pixels are decoded; everything else is refused before decoding."""

from pydicom import uid

NATIVE = frozenset(
    {uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian}
)
"""Pixels as they are (PS3.5 A.1, A.2; Big Endian is retired but still lies in archives)."""

CODECS: dict[str, str] = {
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "gdcm",
    uid.JPEGExtended12Bit: "gdcm",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "pyjpegls",
    uid.JPEGLSNearLossless: "pyjpegls",
    uid.JPEG2000Lossless: "pylibjpeg",
    uid.JPEG2000: "pylibjpeg",
}
"""pydicom's name of the one codec that decodes each.

Left to choose, pydicom hands what one codec refuses to the next, and hostile bytes get to try all.
"""

COMPRESSED = frozenset(CODECS)
"""Encapsulated pixels (PS3.5 A.4)."""

ALLOWED = NATIVE | COMPRESSED
"""Deflated is left out on purpose: half a megabyte of it can inflate to a gigabyte."""
