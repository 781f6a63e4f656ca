"""Checks of one instance before any pixel is decoded.

Cheapest first: what the walk through the bytes has noted already, then what kind of object it is,
then its values one by one, and last what makes an image of them. Of two that cost alike, the one
whose reason says more comes first.
"""

from mri_guard.ports import HeaderCheck
from mri_guard.sanitize.header_checks.burned_in import BurnedIn
from mri_guard.sanitize.header_checks.character_set import CharacterSet
from mri_guard.sanitize.header_checks.element_lengths import ElementLengths
from mri_guard.sanitize.header_checks.file_meta import FileMeta
from mri_guard.sanitize.header_checks.file_size import FileSize
from mri_guard.sanitize.header_checks.fragments import Fragments
from mri_guard.sanitize.header_checks.identifiers import Identifiers
from mri_guard.sanitize.header_checks.image_type import ImageType
from mri_guard.sanitize.header_checks.modality import Modality
from mri_guard.sanitize.header_checks.nesting import Nesting
from mri_guard.sanitize.header_checks.parsers_agree import ParsersAgree
from mri_guard.sanitize.header_checks.parses import Parses
from mri_guard.sanitize.header_checks.part10 import Part10
from mri_guard.sanitize.header_checks.photometric import Photometric
from mri_guard.sanitize.header_checks.pixel_geometry import PixelGeometry
from mri_guard.sanitize.header_checks.preamble import Preamble
from mri_guard.sanitize.header_checks.private_elements import PrivateElements
from mri_guard.sanitize.header_checks.rescale import Rescale
from mri_guard.sanitize.header_checks.slice_geometry import SliceGeometry
from mri_guard.sanitize.header_checks.sop_class import SopClass
from mri_guard.sanitize.header_checks.tag_order import TagOrder
from mri_guard.sanitize.header_checks.transfer_syntax import TransferSyntax
from mri_guard.sanitize.header_checks.value_grammar import ValueGrammar
from mri_guard.sanitize.header_checks.value_representations import ValueRepresentations

HEADER_CHECKS: tuple[HeaderCheck, ...] = (
    FileSize(),
    Part10(),
    Preamble(),
    ElementLengths(),
    Nesting(),
    TagOrder(),
    ValueRepresentations(),
    Parses(),
    TransferSyntax(),
    SopClass(),
    Modality(),
    ImageType(),
    BurnedIn(),
    ParsersAgree(),
    PrivateElements(),
    Identifiers(),
    ValueGrammar(),
    CharacterSet(),
    Photometric(),
    PixelGeometry(),
    Fragments(),
    Rescale(),
    FileMeta(),
    SliceGeometry(),
)
