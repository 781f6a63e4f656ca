"""Milliseconds a slice of the network, by runtime and precision, as ratios in one run.

The weights are random and the slices noise, of the size of a brain on the model's grid: neither
changes the time. Every round runs every variant once, so that what else the machine does falls on
all of them. The share of the peak compares with a matrix product in the same precision, on the same
device and threads, in the same run. Convolutions of few channels wait for memory, not arithmetic,
and cannot reach it.

    python benchmarks/inference.py [--threads 1 2] [--rounds 20] [--json FILE]
    python benchmarks/inference.py --device cuda --batch 256

The second was written without a GPU at hand and has not been run yet.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mri_guard.anomaly import ModelConfig, Vae
from mri_guard.errors import SettingsError
from mri_guard.export.programs import NetworkFormat, from_bytes, program, to_bytes

SIDES = (72, 88)
"""Pixels of 2 mm: what a brain's frame is cut to."""

EAGER = "eager float32"
MATRIX = {"cpu": 1024, "cuda": 8192}
"""Side of the matrices whose product measures the peak."""


@dataclass
class Variant:
    """One way to run the network.

    Attributes:
        name: of the runtime and what is done to it.
        threads: that PyTorch is set to; 0 on a GPU.
        precision: of the arithmetic.
        run: the restored slices, (b, 1, x, y).
        differs: largest difference from eager float32, normalised intensity.
        seconds: of each round.
    """

    name: str
    threads: int
    precision: torch.dtype
    run: Callable[[], Tensor]
    differs: float = 0.0
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Row:
    """What is printed of a variant."""

    name: str
    threads: int
    ms_a_slice: float
    ms_a_slice_p95: float
    slices_a_second: float
    of_eager: float
    of_peak: float
    differs: float


def main() -> None:
    """Prints the table and, where asked, writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="on the CPU")
    parser.add_argument("--batch", type=int, default=16, help="slices at once")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--channels", type=int, nargs="+", help="of another configuration")
    parser.add_argument("--latents", type=int, nargs="+", help="of another configuration")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()

    shape = {"channels": options.channels, "latents": options.latents}
    config = ModelConfig(**{key: value for key, value in shape.items() if value})
    device = torch.device(options.device)
    torch.manual_seed(0)
    model = Vae(config).eval().requires_grad_(False)
    inputs = tuple(
        torch.rand(options.batch, channels, *SIDES) for channels in (2 * config.neighbours + 1, 3)
    )
    with FlopCounterMode(display=False) as counter:
        model(*inputs)
    flops_a_slice = counter.get_total_flops() / options.batch

    missing: list[str] = []
    ways = cuda(model, inputs, missing) if device.type == "cuda" else []
    if device.type == "cpu":
        for threads in options.threads:
            ways += cpu(model, inputs, threads, missing)
    with torch.inference_mode():
        wanted = model(*inputs)[0]
        for way in ways:
            with on_threads(way.threads):
                way.differs = float((way.run().float().cpu() - wanted).abs().max())  # warms up, too
        for _ in range(options.rounds):
            for way in ways:
                with on_threads(way.threads):
                    way.seconds.append(seconds(way.run, device))
        peaks = {key: peak(*key, device) for key in {(w.threads, w.precision) for w in ways}}

    rows = [row(way, ways[0], options.batch, flops_a_slice, peaks) for way in ways]
    context = {
        "machine": f"{platform.platform()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__}"
        + (f", {torch.cuda.get_device_name()}" if device.type == "cuda" else ""),
        "config": config.model_dump(mode="json"),
        "batch": options.batch,
        "sides": SIDES,
        "rounds": options.rounds,
        "gflop_a_slice": flops_a_slice / 1e9,
        "peak_gflop_a_second": {
            f"{str(precision).removeprefix('torch.')}, {threads} threads": value / 1e9
            for (threads, precision), value in peaks.items()
        },
        "missing": missing,
    }
    console = Console(width=110)
    console.print(table(rows, context))
    for line in missing:
        console.print(f"not measured: {line}", highlight=False)
    if options.json:
        written = {**context, "rows": [asdict(one) for one in rows]}
        options.json.write_text(json.dumps(written, indent=1) + "\n")


def cpu(model: Vae, inputs: tuple[Tensor, ...], threads: int, missing: list[str]) -> list[Variant]:
    """Every way to run the network on the CPU; what cannot be had is told in `missing`."""
    last = Vae(model.config).eval().requires_grad_(False)
    last.load_state_dict(model.state_dict())
    last.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ways = [
        Variant(EAGER, threads, torch.float32, lambda: restored(model, inputs)),
        Variant("channels_last", threads, torch.float32, lambda: restored(last, channels(inputs))),
        Variant("bfloat16 autocast", threads, torch.bfloat16, lambda: mixed(model, inputs)),
    ]
    made = program(model)
    for format in NetworkFormat:
        name = {NetworkFormat.TORCH: "torch.export", NetworkFormat.ONNX: "ONNX Runtime"}[format]
        try:
            with on_threads(threads):  # ONNX Runtime takes its threads when it loads
                network = from_bytes(to_bytes(made, format), format)
        except SettingsError as error:
            missing.append(f"{name}: {error}")
        else:
            run = runner(network, inputs)
            ways.append(Variant(name, threads, torch.float32, run))
    compiled = compiled_run(model, inputs, restored, threads, missing)
    if compiled:
        ways.append(Variant("torch.compile", threads, torch.float32, compiled))
    return ways


def cuda(model: Vae, inputs: tuple[Tensor, ...], missing: list[str]) -> list[Variant]:
    """Every way to run the network on a GPU."""
    # Float32 shall be float32 in the first row and in its peak.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    there = tuple(value.cuda() for value in inputs)
    plain = Vae(model.config).eval().requires_grad_(False)
    plain.load_state_dict(model.state_dict())
    plain.cuda()
    last = Vae(model.config).eval().requires_grad_(False)
    last.load_state_dict(model.state_dict())
    last.cuda().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    there_last = channels(there)
    ways = [
        Variant(EAGER, 0, torch.float32, lambda: restored(plain, there)),
        Variant("AMP bfloat16", 0, torch.bfloat16, lambda: mixed(plain, there)),
        Variant("AMP bfloat16, channels_last", 0, torch.bfloat16, lambda: mixed(last, there_last)),
    ]
    compiled = compiled_run(last, there_last, mixed, 0, missing)
    if compiled:
        name = "AMP bfloat16, channels_last, torch.compile"
        ways.append(Variant(name, 0, torch.bfloat16, compiled))
    return ways


def restored(network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """The restored slices."""
    first: Tensor = network(*inputs)[0]
    return first


def mixed(network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """The restored slices, convolutions in bfloat16."""
    with torch.autocast(inputs[0].device.type, torch.bfloat16):
        return restored(network, inputs)


def channels(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The inputs with channels last in memory."""
    return tuple(value.contiguous(memory_format=torch.channels_last) for value in inputs)


def runner(network: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], Tensor]:
    """A call of the network on the inputs."""
    return lambda: restored(network, inputs)


def compiled_run(
    model: Vae,
    inputs: tuple[Tensor, ...],
    how: Callable[[nn.Module, tuple[Tensor, ...]], Tensor],
    threads: int,
    missing: list[str],
) -> Callable[[], Tensor] | None:
    """A call of the compiled network, compiled for these threads; None where that fails."""
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        missing.append("torch.compile: no C++ compiler")
        return None
    compiled: nn.Module = torch.compile(model)  # type: ignore[assignment]  # a callable module
    try:
        with on_threads(threads), torch.inference_mode():
            how(compiled, inputs)
    except RuntimeError as error:
        missing.append(f"torch.compile: {str(error).splitlines()[0]}")
        return None
    return lambda: how(compiled, inputs)


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """PyTorch on that many threads inside; 0 leaves them."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def seconds(run: Callable[[], Tensor], device: torch.device) -> float:
    """Of one call, until its result is there."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def peak(threads: int, precision: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large matrix product, the best of ten."""
    side = MATRIX[device.type]
    one = torch.rand(side, side, device=device).to(precision)
    with on_threads(threads):
        torch.mm(one, one)
        best = min(seconds(lambda: torch.mm(one, one), device) for _ in range(10))
    return 2 * side**3 / best


def row(
    way: Variant,
    eager: Variant,
    batch: int,
    flops_a_slice: float,
    peaks: dict[tuple[int, torch.dtype], float],
) -> Row:
    """Medians over the rounds; the ratio is the median of each round's."""
    middle = statistics.median(way.seconds) / batch
    ratios = [a / b for a, b in zip(way.seconds, eager.seconds, strict=True)]
    return Row(
        name=way.name,
        threads=way.threads,
        ms_a_slice=1000 * middle,
        ms_a_slice_p95=1000 * float(np.percentile(way.seconds, 95)) / batch,
        slices_a_second=1 / middle,
        of_eager=statistics.median(ratios),
        of_peak=flops_a_slice / middle / peaks[way.threads, way.precision],
        differs=way.differs,
    )


def table(rows: list[Row], context: dict[str, object]) -> Table:
    """One line a variant."""
    made = Table(
        title=f"{context['batch']} slices of {SIDES[0]}x{SIDES[1]}, "
        f"{context['gflop_a_slice']:.3f} GFLOP a slice, median of {context['rounds']} rounds",
        caption=str(context["machine"]),
    )
    made.add_column("", no_wrap=True)
    columns = ("threads", "ms/slice", "p95", "slices/s", "time of eager", "of peak", "differs by")
    for column in columns:
        made.add_column(column, justify="right")
    for one in rows:
        made.add_row(
            one.name,
            str(one.threads or "-"),
            f"{one.ms_a_slice:.3f}",
            f"{one.ms_a_slice_p95:.3f}",
            f"{one.slices_a_second:.0f}",
            f"{one.of_eager:.2f}",
            f"{100 * one.of_peak:.1f} %",
            f"{one.differs:.0e}",
        )
    return made


if __name__ == "__main__":
    main()
