"""Exported networks on disk.

network.pt2    torch.export program
network.onnx   ONNX model
export.json    the bundle they are of, what goes in and out, SHA-256 and parity of each

Only the network crosses over. What it sees (`View`, `windows`), what healthy brains leave over, the
map and the score stay with the bundle, whose digest ties the two together.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from pydantic import Field, ValidationError

from mri_guard.anomaly import Vae, VaeScorer
from mri_guard.errors import BundleError, DigestError, SettingsError
from mri_guard.evaluation.evidence import code_version
from mri_guard.export.comparison import Parity, parity
from mri_guard.export.programs import (
    AXES,
    INPUTS,
    OUTPUT,
    SMALLEST_SIDE,
    NetworkFormat,
    from_bytes,
    inputs,
    program,
    to_bytes,
)
from mri_guard.journey import Kit
from mri_guard.records import Preprocessed, Record

RECORD = "export.json"
FILES = {NetworkFormat.TORCH: "network.pt2", NetworkFormat.ONNX: "network.onnx"}


class Port(Record):
    """An input or output of the network.

    Attributes:
        name: in the program.
        shape: lengths of its axes; names for those that are free.
        dtype: of its values.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"


class ExportedFile(Record):
    """One file.

    Attributes:
        name: in the folder.
        sha256: of its content, hex.
        parity: with the bundle, of the very bytes that were written.
    """

    name: str
    sha256: str
    parity: Parity


class Export(Record):
    """`export.json`.

    Attributes:
        bundle_digest: of the bundle that the network is of.
        code_version: of this package.
        torch_version: that wrote it.
        inputs: of the network.
        outputs: of the network.
        multiple: the axes x and y are multiples of this ...
        smallest_side: ... and at least this long, pixels.
        files: by format.
    """

    bundle_digest: str
    code_version: str
    torch_version: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    multiple: int = Field(ge=1)
    smallest_side: int = Field(ge=1)
    files: dict[NetworkFormat, ExportedFile] = Field(min_length=1)


def write(
    kit: Kit, out: Path, formats: Collection[NetworkFormat], scans: Sequence[Preprocessed]
) -> Export:
    """What was written, all of it on par with the kit: otherwise nothing is.

    Args:
        kit: of the bundle.
        out: folder, made when missing; an export in it is replaced.
        formats: at least one.
        scans: to check parity on, at least one.

    Raises:
        UnfitModelError: an exported network does not score as the bundle does.
        SettingsError: ONNX is wanted and its extra is not installed, or no format is wanted.
        BundleError: the bundle's model is none of ours.
    """
    if not formats:
        raise SettingsError("no format to export to")
    scorer = _scorer(kit)
    if not isinstance(scorer.model, Vae):
        raise BundleError(f"the network is a {type(scorer.model).__name__}; wanted a Vae")
    made = program(scorer.model)
    contents = {format: to_bytes(made, format) for format in formats}
    files = {
        format: ExportedFile(
            name=FILES[format],
            sha256=hashlib.sha256(content).hexdigest(),
            parity=parity(scorer, _with(scorer, content, format), scans, kit.calibrate),
        )
        for format, content in contents.items()
    }
    shape = scorer.config.model
    slices, x, y = AXES
    restored = 2 * shape.neighbours + 1 if shape.dimensions == 3 else 1
    record = Export(
        bundle_digest=kit.bundle_digest,
        code_version=code_version(),
        torch_version=torch.__version__,
        inputs=tuple(
            Port(name=name, shape=(slices, *fixed, x, y))
            for name, fixed in zip(INPUTS, inputs(shape), strict=True)
        ),
        outputs=(Port(name=OUTPUT, shape=(slices, restored, x, y)),),
        multiple=shape.multiple,
        smallest_side=SMALLEST_SIDE * shape.multiple,
        files=files,
    )
    out.mkdir(parents=True, exist_ok=True)
    for format, content in contents.items():
        (out / FILES[format]).write_bytes(content)
    (out / RECORD).write_text(record.model_dump_json(indent=1) + "\n")
    return record


def load(folder: Path, format: NetworkFormat, kit: Kit) -> Kit:
    """The kit with the exported network in place of its own.

    Args:
        folder: that `write` filled, trusted like the bundle: a torch.export program from elsewhere
            can run code.
        format: which of the files.
        kit: of the bundle that the export is of.

    Raises:
        DigestError: a file is missing or is not the one that was written, or another bundle's.
        BundleError: `export.json` does not read.
        SettingsError: ONNX is wanted and its extra is not installed.
    """
    try:
        record = Export.model_validate_json((folder / RECORD).read_bytes())
        if record.bundle_digest != kit.bundle_digest:
            raise DigestError(
                f"{RECORD} is of the bundle {record.bundle_digest}; wanted {kit.bundle_digest}"
            )
        if format not in record.files:
            raise DigestError(f"{RECORD} lists no {FILES[format]}")
        content = (folder / FILES[format]).read_bytes()
    except OSError as error:
        raise DigestError(f"{folder} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise BundleError(f"{RECORD}: {error}") from error
    seen, wanted = hashlib.sha256(content).hexdigest(), record.files[format].sha256
    if seen != wanted:
        raise DigestError(f"{FILES[format]} has SHA-256 {seen}; wanted {wanted}")
    return replace(kit, scorer=_with(_scorer(kit), content, format))


def _scorer(kit: Kit) -> VaeScorer:
    if not isinstance(kit.scorer, VaeScorer):
        raise BundleError(f"the scorer is a {type(kit.scorer).__name__}; wanted a VaeScorer")
    return kit.scorer


def _with(scorer: VaeScorer, content: bytes, format: NetworkFormat) -> VaeScorer:
    """The scorer with an exported network."""
    return replace(scorer, model=from_bytes(content, format))
