"""What adversarial augmentation is worth: brief trainings with each adversary, attacked alike.

Every adversary of `adversary_cost` trains the shipped configuration for the same steps from the
same seed, on the manifests' `train` split; statistics are of `validation`, as ever. Then each
model's own score is attacked as in `score_designs`, on a split that is never the test split. The
same patients chose the checkpoint of all rows alike. Interrupted, it goes on; what a step costs is
measured by `adversary_cost`.

    python -m benchmarks.adversaries --manifest ../shared/data/lgg/manifest.csv \
        --manifest var/flair/phantoms/train/manifest.csv \
        --lesion-shapes ../shared/data/lesion_shapes
"""

import argparse
from pathlib import Path

from rich.console import Console

import bundles
from benchmarks.adversary_cost import ADVERSARIES
from benchmarks.score_designs import Design, cases_of, designed, line, top
from mri_guard import bundle
from mri_guard.determinism import generator
from mri_guard.evaluation.evidence import code_version
from mri_guard.metrics.bootstrap import patient_counts
from mri_guard.preprocess import Preprocess
from mri_guard.training.config import TrainConfig
from mri_guard.training.kept import fit_once
from mri_guard.training.lesion_shapes import lesion_shapes
from mri_guard.training.train import load_groups


def main() -> None:
    """A line for each adversary as it ends."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, action="append", required=True)
    parser.add_argument("--lesion-shapes", type=Path)
    parser.add_argument("--attacked", type=Path, help="manifest; default: the first")
    parser.add_argument("--split", default="validation", choices=("train", "validation"))
    parser.add_argument("--train-steps", type=int, default=1000)
    parser.add_argument("--epsilon", type=float, default=4, help="in 255ths")
    parser.add_argument("--steps", type=int, default=10, help="of the attack")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=tuple(ADVERSARIES))
    parser.add_argument("--work", type=Path, default=Path("var/adversaries"))
    options = parser.parse_args()
    console = Console(stderr=True)
    preprocess = Preprocess(bundle.brain_mask(bundles.DEFAULT))
    shapes = lesion_shapes(options.lesion_shapes) if options.lesion_shapes else ()
    plain = TrainConfig(steps=options.train_steps)
    learn, hold_out = (
        load_groups(
            options.manifest,
            split,
            preprocess,
            plain.vae,
            cache=options.work / "cache",
            console=console,
        )
        for split in ("train", "validation")
    )
    cases = cases_of(
        options.attacked or options.manifest[0],
        options.split,
        bundles.DEFAULT,
        options.work / "cache",
    )
    people = {case.subject for case in cases}
    counts = patient_counts(len(people), generator(options.seed, "adversaries"))
    print(f"{options.train_steps} steps, {len(people)} patients, {options.epsilon:g}/255")
    print("| adversary | pixel AP | clean | attacked | left | sensitivity | false positives |")
    print("|---|---|---|---|---|---|---|")
    for name in options.only or ADVERSARIES:
        model = fit_once(
            learn,
            hold_out,
            out=options.work / name.replace(", ", "_").replace(" ", "_"),
            config=plain.model_copy(update={"adversary": ADVERSARIES[name]}),
            seed=options.seed,
            made_by=code_version(),
            shapes=shapes,
            console=console,
        )
        design = Design(plain.vae.fusion.own_share, top(plain.vae.slice_top_share))
        looked = designed(model.scorer(), design, options)
        print(f"| {name} | {line(*looked, cases, counts)} |", flush=True)


if __name__ == "__main__":
    main()
