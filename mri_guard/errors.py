"""Every error this library raises on purpose, branching by who must act.

MriGuardError
├── InputError          the sender: what arrived cannot be examined
│   ├── UnreadableError     bytes that are not the DICOM or NIfTI they claim to be
│   ├── LimitError          larger, slower or more than the limits allow
│   └── SeriesError         readable instances that do not make up one volume
├── BundleError         the operator: the bundle or the set-up is broken
│   ├── DigestError         a file is not the one the bundle was made with
│   ├── NotCalibratedError  too few healthy scores for the threshold asked for
│   ├── UnfitModelError     training or export ended in a model that must not be shipped
│   └── SettingsError       configuration that is missing or contradicts itself
└── ReviewError         the reader: the review queue says no
    ├── NotFoundError       no such case for this user
    ├── NotAllowedError     the role does not permit this
    └── ConflictError       the case is in another state, or somebody else holds it

A failed check is not an error but data (`CheckResult`). Messages say what was seen and what was
wanted, with its unit, and never carry patient data.
"""


class MriGuardError(Exception):
    """Root of the tree."""


class InputError(MriGuardError):
    """What arrived cannot be examined.

    Args:
        reason: a stable machine-readable code such as `pixel-data-short`.
        detail: what was seen and what was wanted; no patient data.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str]]:
        """Pickles by its two arguments, since the decoding child sends errors to its parent."""
        return type(self), (self.reason, self.detail)


class UnreadableError(InputError):
    """Bytes that are not the DICOM or NIfTI they claim to be."""


class LimitError(InputError):
    """Larger, slower or more than the limits allow."""


class SeriesError(InputError):
    """Readable instances that do not make up one volume."""


class BundleError(MriGuardError):
    """The bundle or the set-up is broken."""


class DigestError(BundleError):
    """A file is not the one the bundle was made with."""


class NotCalibratedError(BundleError):
    """Too few healthy scores for the threshold asked for."""


class UnfitModelError(BundleError):
    """Training or export ended in a model that must not be shipped."""


class SettingsError(BundleError):
    """Configuration that is missing or contradicts itself."""


class ReviewError(MriGuardError):
    """The review queue says no."""


class NotFoundError(ReviewError):
    """No such case for this user."""


class NotAllowedError(ReviewError):
    """The role does not permit this."""


class ConflictError(ReviewError):
    """The case is in another state, or somebody else holds it."""
