"""Scores and latent means of phantoms, as they are and as another scanner would have shown them.

Each phantom is scored with its true brain mask, once clean and once with each artifact in
normalised intensity, a new draw for each. Rows that are there already are kept, so that a run which
was stopped goes on. `benchmarks.detection_delay --rows` reads what this writes.

    OMP_NUM_THREADS=1 nice python -m benchmarks.scanner_rows --out rows.csv [--phantoms 80]
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import bundles
from mri_guard import bundle
from mri_guard.anomaly import VaeScorer
from mri_guard.artifacts import BiasField, Gibbs, Motion, RicianNoise
from mri_guard.determinism import generator
from mri_guard.phantom import draw_parameters, render
from mri_guard.phantom.preprocessed import preprocessed
from mri_guard.ports import Artifact
from mri_guard.preprocess import normalised
from mri_guard.records import Contrast, Preprocessed

CLEAN = "clean"
SCANNERS: dict[str, tuple[type[Artifact], float] | None] = {
    CLEAN: None,
    "more noise (rician_noise 0.1)": (RicianNoise, 0.1),
    "more noise (rician_noise 0.2)": (RicianNoise, 0.2),
    "another coil (bias_field 0.3)": (BiasField, 0.3),
    "fewer phase encodings (gibbs 0.5)": (Gibbs, 0.5),
    "longer acquisition (motion 0.1)": (Motion, 0.1),
}
"""What changes: an artifact and its strength, of which 1 is the worst that is drawn."""


@dataclass(frozen=True, slots=True)
class Row:
    """One scored scan.

    Attributes:
        scanner: key of `SCANNERS`.
        score: of the scan.
        latents: `VaeScorer.latent_means`.
    """

    scanner: str
    score: float
    latents: tuple[float, ...]


def main() -> None:
    """Writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    done = len(read(options.out)) // len(SCANNERS) if options.out.is_file() else 0
    with bundle.load(bundles.DEFAULT) as kit, options.out.open("a", newline="") as file:
        if not isinstance(kit.scorer, VaeScorer):
            raise SystemExit("the bundle's model has no latents")
        writer = csv.writer(file)
        for number in range(done, options.phantoms):
            made = list(rows(kit.scorer, options.seed, number))
            writer.writerows(
                [row.scanner, repr(row.score), *map(repr, row.latents)] for row in made
            )
            file.flush()


def rows(scorer: VaeScorer, seed: int, number: int) -> Iterator[Row]:
    """One phantom on every scanner."""
    rng = generator(seed, "scanner rows", number)
    seen, _ = preprocessed(render(draw_parameters(rng, Contrast.FLAIR)))
    for scanner, change in SCANNERS.items():
        shown = seen
        if change is not None:
            kind, strength = change
            draws = generator(seed, "scanner rows", number, scanner)
            shown = acquired(seen, kind.draw(draws, strength))
        latents = tuple(float(value) for value in scorer.latent_means(shown))
        yield Row(scanner, scorer(shown).score, latents)


def acquired(seen: Preprocessed, artifact: Artifact) -> Preprocessed:
    """The scan with an artifact, on the model's intensity again."""
    image = np.asarray(artifact(seen.image.clip(0)), dtype=np.float32)
    return normalised(image, seen.head.copy(), seen.brain.copy(), seen.affine.copy())


def read(path: Path) -> list[Row]:
    """Rows that `main` wrote."""
    with path.open(newline="") as file:
        return [
            Row(scanner, float(score), tuple(map(float, latents)))
            for scanner, score, *latents in csv.reader(file)
        ]


if __name__ == "__main__":
    main()
