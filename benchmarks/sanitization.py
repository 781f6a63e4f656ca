"""Everything before the model, against pydicom's reading and decoding of the same files.

`python -m benchmarks.sanitization [--rounds N]`: one clean series of 24 slices of 256 x 256, warm,
one thread. The ratio is what counts: both are measured in turn, on the same machine.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from pydicom import dcmread

import bundles
from mri_guard import bundle
from mri_guard.determinism import generator
from mri_guard.phantom import draw_parameters, render, write_dicom_series
from mri_guard.ports import Decoder, Sanitizer
from mri_guard.records import Contrast, Format, Source
from mri_guard.sanitize.gate import sanitize

SLICES = 24


def main() -> None:
    """Prints milliseconds of each, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds: int = parser.parse_args().rounds
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the decoding child inherits it
    with tempfile.TemporaryDirectory() as folder, bundle.load(bundles.DEFAULT) as kit:
        rng = generator(0, "benchmark", "sanitization")
        parameters = draw_parameters(
            rng, Contrast.FLAIR, (), slices=SLICES, spacing_mm=145.0 / SLICES
        )
        head = render(parameters)
        files = write_dicom_series(
            head.voxels, head.affine, Path(folder), Contrast.FLAIR, "benchmark"
        )
        source = Source(tuple(files), Format.DICOM)
        results = sanitize(source, kit.sanitizer, kit.decoder)
        if not results[-1].passed:
            raise SystemExit(f"the clean series is refused: {results[-1].reason}")
        ours, peer = [], []
        steps: dict[str, list[float]] = {}
        for _ in range(rounds):
            ours.append(_milliseconds(lambda: _each(source, kit.sanitizer, kit.decoder, steps)))
            peer.append(_milliseconds(lambda: [dcmread(file).pixel_array for file in files]))
    print(f"{len(files)} files of {'x'.join(map(str, head.voxels.shape[:2]))}, {rounds} rounds")
    for name, times in steps.items():
        print(f"  {name:24} {statistics.median(times):7.2f} ms")
    ratios = sorted(a / b for a, b in zip(ours, peer, strict=True))
    print(f"all before the model       {_shown(ours)}")
    print(f"pydicom reads and decodes  {_shown(peer)}")
    print(
        f"ratio {statistics.median(ratios):.2f} "
        f"[{ratios[len(ratios) // 20]:.2f}, {ratios[-1 - len(ratios) // 20]:.2f}]"
    )


def _each(
    source: Source, sanitizer: Sanitizer, decoder: Decoder, steps: dict[str, list[float]]
) -> None:
    for result in sanitize(source, sanitizer, decoder):
        steps.setdefault(result.name, []).append(result.milliseconds)


def _milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def _shown(times: list[float]) -> str:
    ordered = sorted(times)
    return (
        f"median {statistics.median(times):.0f} ms, p95 {ordered[int(0.95 * len(ordered))]:.0f} ms"
    )


if __name__ == "__main__":
    main()
