"""UIDs that stand for others: the same UID and key give the same one, so references still meet."""

from pydicom._uid_dict import UID_dictionary

from mri_guard.deidentify.key import DeidentificationKey

IMPLEMENTATION_CLASS_UID = "2.25.226184303187230571434907326459839513237"
"""Of what we write (0002,0012); a UUID of our own."""


def keyed_uid(key: DeidentificationKey, uid: str) -> str:
    """`2.25.` and the decimal value of a UUID derived from the UID (PS3.5 section B.2).

    The UUID is 122 bits of an HMAC-SHA256 (version 8, RFC 9562 section 5.8): without the key it
    neither leads back to the original nor can it be told from a random one.
    """
    value = int.from_bytes(key.digest("uid", uid)[:16])
    value = value & ~(0xF << 76) | 8 << 76  # version
    value = value & ~(0x3 << 62) | 2 << 62  # variant
    return f"2.25.{value}"


def is_registered(uid: str) -> bool:
    """Whether the standard itself registers the UID (PS3.6 annex A): it names no instance."""
    return uid in UID_dictionary
