"""Scores of healthy people of whom there is one slice each, by a small model trained for it.

A single slice is no scan that the journey would take (`too-few-slices`), so that no bundle can be
made of them: this asks the trained model itself. Scores go to a CSV, for
`benchmarks.calibration_claims --scores`:

python -m benchmarks.slice_model --manifest MANIFEST.csv --work WORK --out scores.csv

`train` is learnt from, `validation` chooses the checkpoint; healthy people of the splits
`calibration` and `test` get a score. Interrupted, the same command goes on from WORK.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import track

import bundles
from benchmarks.calibration_claims import healthy_people, write
from mri_guard import bundle
from mri_guard.errors import InputError
from mri_guard.preprocess import Preprocess
from mri_guard.readers import Decoder
from mri_guard.training.config import TrainConfig
from mri_guard.training.data import prepared_scan, preprocess_digest
from mri_guard.training.train import train


def main() -> None:
    """Trains, scores and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="checkpoint and cache")
    parser.add_argument("--out", type=Path, required=True, help="CSV of the scores")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    console = Console(stderr=True)

    preprocess = Preprocess(bundle.brain_mask(bundles.DEFAULT))
    model = train(
        [options.manifest],
        options.work,
        TrainConfig(steps=options.steps),
        seed=options.seed,
        preprocess=preprocess,
        console=console,
    )
    scorer, maker, made = model.scorer(), preprocess_digest(preprocess), []
    rows = healthy_people(options.manifest, ("calibration", "test"))
    with Decoder() as decoder:
        for row in track(rows, "scoring", console=console):
            try:
                seen, _ = prepared_scan(row, preprocess, maker, decoder, options.work / "cache")
            except InputError as error:
                console.print(f"left out: {error}", highlight=False)
                continue
            made.append(row.attributes | {"score": repr(scorer(seen).score)})
    write(options.out, made)


if __name__ == "__main__":
    main()
