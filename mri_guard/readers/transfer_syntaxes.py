"""The transfer syntaxes whose pixels are decoded; everything else is refused before decoding."""

from pydicom import uid

NATIVE = frozenset(
    {uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian}
)
"""Pixels as they are (PS3.5 A.1, A.2; Big Endian is retired but still lies in archives)."""

COMPRESSED = frozenset(
    {
        uid.RLELossless,
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
    }
)
"""Encapsulated pixels (PS3.5 A.4) that the installed codecs decode."""

ALLOWED = NATIVE | COMPRESSED
"""Deflated is left out on purpose: half a megabyte of it can inflate to a gigabyte."""
