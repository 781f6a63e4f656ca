"""Is it a NIfTI file of one volume that fits our memory?"""

from dataclasses import dataclass

from mri_guard.errors import InputError
from mri_guard.readers.nifti import open_nifti
from mri_guard.records import InstanceHeader, Rejection


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """Refuses by the header alone, before voxels are read.

    Reasons: `not-nifti`, `no-volume`, `several-volumes`, `not-real-numbers`, `too-many-voxels`,
    `affine-not-sane`.
    """

    name: str = "nifti_header"

    def __call__(self, instance: InstanceHeader, /) -> Rejection | None:
        """Why the file is refused, or None."""
        try:
            open_nifti(instance.path)
        except InputError as error:
            return Rejection(error.reason, error.detail)
        return None
