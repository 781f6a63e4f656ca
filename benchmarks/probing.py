"""What fingerprints share: near-duplicates of a scan, scans of one person, scans of two.

Every scan is perturbed in each of several ways, and its fingerprint compared with that of the
original; those of different people with one another. Near are scans that share `NEAR` hashes of
`COUNT`. Parameters were chosen on the training split of `lgg` and on phantoms of seed 0; `--split`
and `--seed` choose others. PGD attacks the bundle's own score, knowing the model and not the key.

    python benchmarks/probing.py --manifest ../shared/data/lgg/manifest.csv --split test [--pgd 10]
    python benchmarks/probing.py --phantoms 20 [--seed 1]
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from scipy import ndimage

import bundles
from mri_guard import bundle
from mri_guard.anomaly import VaeScorer
from mri_guard.anomaly.scorer import slice_gap_mm, tensors, volume
from mri_guard.attacks import Pgd, Victim
from mri_guard.determinism import generator
from mri_guard.journey import Kit
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.perturbation.fingerprint import COUNT, NEAR, fingerprint, overlap
from mri_guard.phantom import draw_parameters, render
from mri_guard.preprocess.changed import changed_voxels
from mri_guard.readers.manifest import read_manifest
from mri_guard.readers.nifti import read_nifti
from mri_guard.records import Contrast, Scan, ScanHeader

KEY = bytes(range(32))
Volume = NDArray[np.float32]


def spread(voxels: Volume) -> float:
    """1st to 99th percentile of what is brighter than the mean: about the brain's range."""
    low, high = np.percentile(voxels[voxels > voxels.mean()], (1, 99))
    return float(high - low)


def whole(voxels: Volume) -> Volume:
    """Rounded and not negative, as a file holds it."""
    return np.rint(voxels).clip(0).astype(np.float32)


def noise(sigma: float) -> Callable[[Volume, np.random.Generator], Volume]:
    """Gaussian noise, of so much of the brain's range."""
    return lambda v, rng: whole(v + rng.normal(0, sigma * spread(v), v.shape).astype(np.float32))


def rescaled(voxels: Volume, levels: int) -> Volume:
    """So many grey values from the least to the most."""
    return np.rint((voxels - voxels.min()) / np.ptp(voxels) * (levels - 1)).astype(np.float32)


def jpeg(voxels: Volume, _: np.random.Generator) -> Volume:
    """Each slice through JPEG of quality 75."""
    grey = rescaled(voxels, 256).astype(np.uint8)
    out = np.empty(voxels.shape, np.float32)
    for z in range(voxels.shape[2]):
        held = BytesIO()
        Image.fromarray(grey[..., z]).save(held, "JPEG", quality=75)
        out[..., z] = np.asarray(Image.open(held))
    return out


def waves(voxels: Volume, rng: np.random.Generator) -> Volume:
    """+-8/255 of the brain's range in one sign over 32 pixels: made to move the cells' means."""
    signs = rng.choice([-1.0, 1.0], tuple(-(-size // 32) for size in voxels.shape[:2]))
    pattern = np.kron(signs, np.ones((32, 32)))[: voxels.shape[0], : voxels.shape[1], None]
    return whole(voxels + pattern.astype(np.float32) * np.float32(8 / 255 * spread(voxels)))


def turned(degrees: float) -> Callable[[Volume, np.random.Generator], Volume]:
    """Turned in the axial plane, with other noise: about what lying down again does."""

    def turn(voxels: Volume, rng: np.random.Generator) -> Volume:
        rotated = ndimage.rotate(voxels, degrees, axes=(0, 1), reshape=False, order=1)
        return noise(0.03)(rotated, rng)

    return turn


CHANGES: dict[str, Callable[[Volume, np.random.Generator], Volume]] = {
    "sent again with other UIDs": lambda v, _: v,
    "noise, sigma 0.02": noise(0.02),
    "noise, sigma 0.05": noise(0.05),
    "noise, sigma 0.1": noise(0.1),
    "shift of 1 voxel": lambda v, _: np.roll(v, (1, -1), (0, 1)),
    "gain 1.3, offset 20": lambda v, _: v * np.float32(1.3) + 20,
    "gamma 1.1": lambda v, _: (v / v.max()) ** np.float32(1.1) * 1000,
    "64 grey values": lambda v, _: rescaled(v, 64),
    "JPEG, quality 75": jpeg,
    "cropped by 4 pixels": lambda v, _: v[4:-4, 4:-4],
    "waves of 8/255": waves,
    "turned by 1 degree": turned(1),
    "turned by 3 degrees": turned(3),
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--split", help="of the manifest; all when left out")
    parser.add_argument("--phantoms", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the phantoms")
    parser.add_argument("--pgd", type=int, default=0, help="so many scans are attacked")
    parser.add_argument("--pairs-only", action="store_true", help="no perturbations")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    scans = list(read(options))
    shared: dict[str, list[int]] = {}
    milliseconds = []
    prints = []
    for who, scan in scans:
        start = time.perf_counter()
        prints.append((who, fingerprint(scan, KEY)))
        milliseconds.append((time.perf_counter() - start) * 1000)
    alike = [0] * len(prints)
    for (first, (who, one)), (second, (other_who, other)) in combinations(enumerate(prints), 2):
        name = "one person, another session" if who == other_who else "two people"
        shared.setdefault(name, []).append(overlap(one, other))
        if shared[name][-1] >= NEAR:
            alike[first] += 1
            alike[second] += 1
    if not options.pairs_only:
        for number, (_, scan) in enumerate(scans):
            for name, change in CHANGES.items():
                changed = change(scan.voxels, generator(0, "probing", name, number))
                seen = fingerprint(with_voxels(scan, changed), KEY)
                shared.setdefault(name, []).append(overlap(prints[number][1], seen))
    if options.pgd:
        with bundle.load(bundles.DEFAULT) as kit:
            for number, (_, scan) in enumerate(scans[: options.pgd]):
                for epsilon, attacked in attacks(scan, kit):
                    seen = fingerprint(attacked, KEY)
                    name = f"PGD {epsilon}/255"
                    shared.setdefault(name, []).append(overlap(prints[number][1], seen))
    Console().print(table(shared, milliseconds))
    Console().print(f"most near-duplicates of one scan among the others: {max(alike)}")
    if options.json:
        options.json.write_text(json.dumps(shared))


def table(shared: dict[str, list[int]], milliseconds: list[float]) -> Table:
    """How much is shared, and how many are near with the 95 % interval (Clopper-Pearson)."""
    made = Table(
        title=f"Hashes shared of {COUNT}; near: {NEAR} and more",
        caption=f"{np.median(milliseconds):.0f} ms a fingerprint (median), "
        f"{np.percentile(milliseconds, 95):.0f} ms (95th percentile), n = {len(milliseconds)}",
    )
    made.add_column("")
    for column in ("n", "least", "median", "most", "near", "95 %"):
        made.add_column(column, justify="right")
    for name, some in shared.items():
        near = sum(value >= NEAR for value in some)
        low, high = clopper_pearson(near, len(some))
        figures = f"{len(some)}", f"{min(some)}", f"{np.median(some):.0f}", f"{max(some)}"
        made.add_row(name, *figures, f"{near / len(some):.4f}", f"{low:.4f}-{high:.4f}")
    return made


def read(options: argparse.Namespace) -> Iterator[tuple[str, Scan]]:
    """Who each scan is of, and the scan."""
    if options.manifest:
        for row in read_manifest(options.manifest):
            if options.split in (None, row.split):
                yield row.subject, read_nifti(row.scan, row.contrast or Contrast.FLAIR)
    for number in range(options.phantoms):
        rng = generator(options.seed, "probing", "phantom", number)
        head = render(draw_parameters(rng, Contrast.FLAIR))
        header = ScanHeader(
            contrast=Contrast.FLAIR,
            slice_count=head.voxels.shape[2],
            spacing_mm=tuple(np.linalg.norm(head.affine[:3, :3], axis=0)),
        )
        yield f"phantom {number}", Scan(head.voxels.astype(np.float32), head.affine, header)


def with_voxels(scan: Scan, voxels: Volume) -> Scan:
    """The scan with other voxels."""
    return Scan(np.ascontiguousarray(voxels, np.float32), scan.affine.copy(), scan.header)


def attacks(scan: Scan, kit: Kit) -> Iterator[tuple[int, Scan]]:
    """Epsilon in 255ths, and the scan with the change that lowers its score, on its own voxels."""
    scorer = kit.scorer
    if not isinstance(scorer, VaeScorer):
        raise SystemExit("the bundle's score has no gradient")
    seen = kit.preprocess(scan)
    image, brain = tensors(seen, "cpu")
    gap_mm = slice_gap_mm(seen)
    victim = Victim(
        image,
        brain,
        lambda changed: scorer.score_tensor(changed, brain, gap_mm)[None],
        "evade",
        threshold=0.0,
    )
    for epsilon in (2, 4, 8):
        found = Pgd(steps=5)(victim, epsilon / 255, generator(0, "probing", "pgd", epsilon))
        changed = changed_voxels(scan, seen, volume(found.image - image))
        yield epsilon, with_voxels(scan, whole(changed))


if __name__ == "__main__":
    main()
