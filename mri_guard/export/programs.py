"""The network alone, as the bytes of a torch.export program or of an ONNX model.

Both take `window` and `position` and give `restored`, as `Vae.forward` describes them, for any
number of windows and any sides that are multiples of `ModelConfig.multiple`, at least twice that.
"""

import copy
import io
import json
import logging
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mri_guard.anomaly import ModelConfig, Vae
from mri_guard.anomaly.model import POSITIONS
from mri_guard.errors import BundleError, SettingsError

INPUTS = ("window", "position")
OUTPUT = "restored"
AXES = ("slices", "x", "y")
"""Names of the axes whose lengths are free: the first, and the last two. Of each slice that is to
be restored there is a window."""

SMALLEST_SIDE = 2
"""In multiples: PyTorch specialises a program on a coarsest level of one pixel."""

OPSET = 20


class NetworkFormat(StrEnum):
    """What a network can be exported as."""

    TORCH = "torch"
    ONNX = "onnx"


def program(model: Vae) -> ExportedProgram:
    """The network as it is, without its posteriors, as a torch.export program on the CPU.

    A network in training mode gives a program that draws its latents; `parity` refuses it.
    """
    multiple = model.config.multiple
    batch, x, y = Dim("slices"), Dim("x", min=SMALLEST_SIDE), Dim("y", min=SMALLEST_SIDE)
    # Sides that differ from each other and from every width, so that none is taken for another.
    examples = tuple(
        torch.zeros(2, *fixed, 5 * multiple, 7 * multiple) for fixed in inputs(model.config)
    )
    free = {
        name: {0: batch, example.dim() - 2: multiple * x, example.dim() - 1: multiple * y}
        for name, example in zip(INPUTS, examples, strict=True)
    }
    made = torch.export.export(
        _Restoration(copy.deepcopy(model).cpu()), examples, dynamic_shapes=free
    )
    # What is not needed and names the machine's folders, or would be stored as a pickle.
    made.example_inputs = None
    for node in made.graph.nodes:
        node.meta.pop("stack_trace", None)
    # They come from a set; in one order the same network gives the same bytes.
    ranges = sorted(made.range_constraints.items(), key=str)
    made.range_constraints.clear()
    made.range_constraints.update(ranges)
    return made


def inputs(shape: ModelConfig) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Lengths of the axes of `window` and `position` between the free ones."""
    slices = 2 * shape.neighbours + 1
    return (slices,), (POSITIONS, slices) if shape.dimensions == 3 else (POSITIONS,)


def to_bytes(made: ExportedProgram, format: NetworkFormat) -> bytes:
    """The program as a file's content.

    Raises:
        SettingsError: ONNX is wanted and the extra `onnx` is not installed.
    """
    return _to_torch(made) if format is NetworkFormat.TORCH else _to_onnx(made)


def from_bytes(content: bytes, format: NetworkFormat) -> nn.Module:
    """A network that stands in for `Vae` in a `VaeScorer`: restored slices, and no posteriors.

    A torch.export program follows the device it is moved to and has a gradient; an ONNX model runs
    on the CPU, on as many threads as PyTorch is set to, and has none.

    Args:
        content: made by `to_bytes`, and known to be so: a torch.export program holds expressions
            that PyTorch evaluates when it reads them, so one from elsewhere can run code.
        format: of the content.

    Raises:
        BundleError: a torch.export program with something to unpickle in it.
        SettingsError: ONNX is wanted and the extra `onnx` is not installed.
    """
    return _TorchNetwork(content) if format is NetworkFormat.TORCH else _OnnxNetwork(content)


class _Restoration(nn.Module):
    """The network's first output alone."""

    def __init__(self, model: Vae) -> None:
        super().__init__()
        self.model = model

    def forward(self, window: Tensor, position: Tensor) -> Tensor:
        restored: Tensor = self.model(window, position)[0]
        return restored


class _TorchNetwork(nn.Module):
    def __init__(self, content: bytes) -> None:
        super().__init__()
        refuse_pickles(content)
        self.program = torch.export.load(io.BytesIO(content)).module()

    def forward(self, window: Tensor, position: Tensor) -> tuple[Tensor]:
        return (self.program(window, position),)


class _OnnxNetwork(nn.Module):
    def __init__(self, content: bytes) -> None:
        super().__init__()
        try:
            import onnxruntime  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            raise _no_onnx() from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )

    def forward(self, window: Tensor, position: Tensor) -> tuple[Tensor]:
        values = {
            name: value.numpy() for name, value in zip(INPUTS, (window, position), strict=True)
        }
        (restored,) = self.session.run([OUTPUT], values)
        return (torch.from_numpy(restored),)


def refuse_pickles(content: bytes) -> None:
    """Holds a `.pt2` file to what `to_bytes` writes, none of which is unpickled when it is loaded.

    torch.export.load runs torch.load, with any class allowed, on example inputs, on weights and
    constants marked so, and on the files of older layouts.

    Raises:
        BundleError: it holds such a thing, or is no zip file.
    """
    plain = ("byteorder", "version", "serialization_id", "archive_format", "archive_version")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for part in archive.infolist():
                folder, _, name = part.filename.rpartition("/")
                kind = folder.rpartition("/")[2]
                if name in plain or (kind, name) == ("models", "model.json"):
                    continue
                if kind == "weights" and name.removeprefix("weight_").isdecimal():
                    continue
                if kind == "sample_inputs" and part.file_size == 0:
                    continue
                if kind in ("weights", "constants") and name == f"model_{kind}_config.json":
                    config = json.loads(archive.read(part))["config"]
                    if not any(payload["use_pickle"] for payload in config.values()):
                        continue
                raise BundleError(f"the program holds {part.filename}, which may be a pickle")
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"not a torch.export program: {type(error).__name__}") from error


def _to_torch(made: ExportedProgram) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(made, buffer)
    return buffer.getvalue()


def _to_onnx(made: ExportedProgram) -> bytes:
    try:
        import onnx  # noqa: PLC0415 - an optional extra
        import onnxscript  # noqa: F401, PLC0415 - torch.onnx needs it
    except ImportError as error:
        raise _no_onnx() from error
    with _quiet():
        converted: Any = torch.onnx.export(
            made, input_names=INPUTS, output_names=[OUTPUT], opset_version=OPSET, verbose=False
        )
    model: onnx.ModelProto = converted.model_proto
    # Names of axes that say what they are, and nothing that tells of the machine it was made on.
    del model.graph.value_info[:]
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer):
        del part.metadata_props[:]
    for port in (*model.graph.input, *model.graph.output):
        del port.metadata_props[:]
        for axis, name in zip((0, -2, -1), AXES, strict=True):
            port.type.tensor_type.shape.dim[axis].dim_param = name
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides what the exporter says of torchvision, which we never have, and of PyTorch itself."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            yield
    finally:
        logger.setLevel(before)


def _no_onnx() -> SettingsError:
    return SettingsError('ONNX needs the extra "onnx": pip install "mri-guard[onnx]"')
