"""Takes the patient out of an instance by an allow-list, and keeps the patient apart."""

from mri_guard.deidentify.folder import (
    FileResult,
    deidentify_files,
    read_identities,
    write_identities,
)
from mri_guard.deidentify.identity import Identity
from mri_guard.deidentify.instance import Deidentified, deidentify, identity_of
from mri_guard.deidentify.key import DeidentificationKey, load_key_file, make_key_file
from mri_guard.deidentify.sealed import seal, unseal

__all__ = [
    "DeidentificationKey",
    "Deidentified",
    "FileResult",
    "Identity",
    "deidentify",
    "deidentify_files",
    "identity_of",
    "load_key_file",
    "make_key_file",
    "read_identities",
    "seal",
    "unseal",
    "write_identities",
]
