"""The library on the command line; `services/cli.py` adds what needs the services.

Every command exits 0 (done), 1 (a scan or a check said no), 2 (called wrongly) or 3 (the bundle
or the set-up is broken).
"""

import datetime
import json
import re
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

import bundles
from mri_guard import bundle as bundle_module
from mri_guard import export as export_module
from mri_guard.anomaly import VaeScorer
from mri_guard.anomaly.uncertainty import MEANING, Uncertainty, uncertainty
from mri_guard.artifacts import ARTIFACTS
from mri_guard.calibration import Budget, Rate, Workload
from mri_guard.calibration.label_consistency import FALSE_SHARE
from mri_guard.calibration.label_consistency import screen as screen_labels
from mri_guard.calibration.second_look import SecondLookConfig
from mri_guard.deidentify import (
    FileResult,
    deidentify_files,
    load_key_file,
    make_key_file,
    write_identities,
)
from mri_guard.determinism import generator
from mri_guard.errors import BundleError, InputError, SettingsError, UnreadableError
from mri_guard.evaluation.ablation import evaluate_ablation
from mri_guard.evaluation.ablation import table as ablation_table
from mri_guard.evaluation.baselines import known_baselines
from mri_guard.evaluation.brain_mask import evaluate_brain_mask
from mri_guard.evaluation.brain_mask import table as brain_mask_table
from mri_guard.evaluation.calibration import BUDGETS, evaluate_calibration, price_table
from mri_guard.evaluation.calibration import table as calibration_table
from mri_guard.evaluation.certification import NOISE_DRAWS, SIGMA, evaluate_certification
from mri_guard.evaluation.certification import table as certification_table
from mri_guard.evaluation.detection import evaluate_detection
from mri_guard.evaluation.detection import table as detection_table
from mri_guard.evaluation.evidence import Evidence
from mri_guard.evaluation.fairness import (
    compare_fairness,
    comparison_table,
    evaluate_fairness,
    forest,
    site_thresholds,
)
from mri_guard.evaluation.fairness import table as fairness_table
from mri_guard.evaluation.gallery import INDEX
from mri_guard.evaluation.hostile import write_corpus
from mri_guard.evaluation.perturbation import EPSILONS, UNAWARE, evaluate_perturbation
from mri_guard.evaluation.perturbation import table as perturbation_table
from mri_guard.evaluation.poisoning import SHARES, evaluate_poisoning
from mri_guard.evaluation.poisoning import table as poisoning_table
from mri_guard.evaluation.risks import SALIENCY_SCANS, evaluate_risks
from mri_guard.evaluation.risks import table as risks_table
from mri_guard.evaluation.robustness import OF_255, Plan, evaluate_robustness, goals, hidden, suite
from mri_guard.evaluation.robustness import table as robustness_table
from mri_guard.evaluation.sanitization import evaluate_sanitization
from mri_guard.evaluation.sanitization import table as sanitization_table
from mri_guard.journey import Kit, examine
from mri_guard.phantom import write_phantoms
from mri_guard.phantom.parameters import LOOKS
from mri_guard.preprocess import Preprocess
from mri_guard.preprocess.brain_mask import load as load_brain_mask
from mri_guard.readers import open_sources
from mri_guard.readers.manifest import read_manifest
from mri_guard.records import Contrast, Journey, Outcome, Source
from mri_guard.reports.compare import Compared, refused
from mri_guard.reports.compare import compare as compare_reports
from mri_guard.reports.compare import load as load_report
from mri_guard.reports.described_bundle import described
from mri_guard.reports.evidence_files import read as read_evidence
from mri_guard.reports.evidence_files import schema as evidence_schema
from mri_guard.reports.page import whole
from mri_guard.reports.signature import load_private_key, load_public_key, make_key
from mri_guard.reports.verify import verify as verify_report
from mri_guard.reports.write import write_report
from mri_guard.results import SPREAD_MAP, write_map, write_results
from mri_guard.sanitize.gate import sanitize as sanitize_source
from mri_guard.training.adversary import Adversary, Goal
from mri_guard.training.brain_mask import train_brain_mask
from mri_guard.training.bundle import (
    train_bundle,
    with_detector_calibration,
    with_second_look,
    with_site_calibration,
    with_voxel_limits,
)
from mri_guard.training.config import TrainConfig
from mri_guard.training.config import large as large_config
from mri_guard.training.config import volume as volume_config
from mri_guard.training.healthy_heads import healthy_heads
from mri_guard.training.labels import known_from, said_of
from mri_guard.training.lesion_shapes import lesion_shapes as load_lesion_shapes
from mri_guard.training.site import SiteReport, one_a_person

SAID_NO, CALLED_WRONGLY, BROKEN = 1, 2, 3

app = typer.Typer(
    name="mri-guard",
    help="Runs an anomaly detector for brain MRI without fooling itself.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
console = Console()
errors = Console(stderr=True)

Paths = Annotated[
    list[Path], typer.Argument(help="DICOM folder, zip or file, or NIfTI.", show_default=False)
]
BundleOption = Annotated[Path, typer.Option("--bundle", help="Folder of the bundle.")]
ContrastOption = Annotated[
    Contrast | None,
    typer.Option(help="What the scans are, where neither header nor file name says."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
EvidenceOption = Annotated[Path, typer.Option("--out", help="Evidence file to write (JSON).")]
SplitOption = Annotated[list[str] | None, typer.Option("--split", help="To assess; default: test.")]
SeedOption = Annotated[int, typer.Option(help="Root seed of everything random.")]
WorkOption = Annotated[
    Path,
    typer.Option(
        help="What has been computed, for evaluations of one bundle to share; an interrupted run "
        "goes on from here."
    ),
]


def fail(message: str, status: int) -> NoReturn:
    """Ends the command with one line on standard error."""
    errors.print(f"mri-guard: {message}", style="red", markup=False, highlight=False)
    raise typer.Exit(status)


P = ParamSpec("P")
R = TypeVar("R")


def say(document: object, text: str | Table, *, as_json: bool) -> None:
    """Says what came of a command: one JSON document, or words or a table for people."""
    if as_json:
        print(json.dumps(document, indent=2))  # noqa: T201 - the document is the output
    else:
        console.print(text, highlight=False)


def exits(command: Callable[P, R]) -> Callable[P, R]:
    """The command, with broken bundles and unreadable input as exit statuses, not tracebacks."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except BundleError as error:
            fail(str(error), BROKEN)
        except InputError as error:
            fail(str(error), SAID_NO)

    return wrapped


@app.command()
@exits
def screen(
    paths: Paths,
    bundle: BundleOption = bundles.DEFAULT,
    out: Annotated[
        Path | None, typer.Option(help="Folder for each scan's record, map and picture.")
    ] = None,
    contrast: ContrastOption = None,
    draws: Annotated[
        int,
        typer.Option(
            min=0,
            help="Draws of the latents, for the spread of score and map; at least 2, 0 for none; "
            "each costs as much as the model.",
        ),
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Take scans through the whole journey: decision, reasons, score, map and picture."""
    if draws == 1:
        fail("1 draw has no spread; wanted 2 or more, or 0 for none", CALLED_WRONGLY)
    rows: list[dict[str, Any]] = []
    with bundle_module.load(bundle) as kit, _work_folder() as work:
        for label, source in _sources(paths, work, contrast):
            journey = examine(source, kit)
            files = write_results(journey, out / label) if out else []
            drawn = _draw(journey, kit, draws)
            if drawn and out:
                files.append(write_map(journey, drawn.map_spread, out / label / SPREAD_MAP))
            rows.append(
                {
                    "scan": label,
                    "examination": journey.examination.model_dump(mode="json"),
                    "flagged_slices": _flagged_slices(journey),
                    "uncertainty": _figures(drawn) if drawn else None,
                    "files": [str(file) for file in files],
                }
            )
            if not as_json:
                _print_examination(label, journey, drawn, files)
    if as_json:
        say(rows, "", as_json=True)
    outcomes = {row["examination"]["decision"]["outcome"] for row in rows}
    raise typer.Exit(0 if outcomes <= {Outcome.RELEASE} else SAID_NO)


@app.command()
@exits
def sanitize(
    paths: Paths,
    bundle: BundleOption = bundles.DEFAULT,
    contrast: ContrastOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run header checks, decoding and voxel checks alone."""
    rows: list[dict[str, Any]] = []
    with bundle_module.load(bundle) as kit, _work_folder() as work:
        for label, source in _sources(paths, work, contrast):
            checks = sanitize_source(source, kit.sanitizer, kit.decoder)
            results = [check.model_dump(mode="json") for check in checks]
            rows.append({"scan": label, "checks": results})
            if not as_json:
                for result in results:
                    mark = "[green]passed[/]" if result["passed"] else "[red]FAILED[/]"
                    console.print(
                        f"{label}  {mark}  {result['name']}  {result['milliseconds']:.1f} ms  "
                        f"{result['reason']} {result['detail']}",
                        highlight=False,
                    )
    if as_json:
        say(rows, "", as_json=True)
    passed = all(check["passed"] for row in rows for check in row["checks"])
    raise typer.Exit(0 if passed else SAID_NO)


@app.command()
@exits
def hostile(
    out: Annotated[Path, typer.Option(help="New folder to write.")],
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Write hostile and broken series, each with one defect, for `evaluate sanitization`."""
    manifest = write_corpus(out, seed, show_progress=not as_json)
    say({"manifest": str(manifest)}, f"manifest: {manifest}", as_json=as_json)


@app.command()
@exits
def deidentify(
    key_file: Annotated[Path, typer.Option(help="Secret that pseudonyms are derived from.")],
    paths: Annotated[
        list[Path] | None, typer.Argument(help="DICOM folder, zip or file.", show_default=False)
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the new files.")] = None,
    identities: Annotated[
        Path | None,
        typer.Option(help="New file for who is who, encrypted with the key; else it is lost."),
    ] = None,
    make_key: Annotated[bool, typer.Option("--make-key", help="Make the key file first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take the patient out of MR images; pixels stay as they are, also a face or text in them."""
    if paths and out is None:
        fail("--out is wanted: a folder for the new files", CALLED_WRONGLY)
    if not paths and not make_key:
        fail("nothing to de-identify; wanted PATHS, or --make-key", CALLED_WRONGLY)
    if identities is not None and identities.exists():
        fail("--identities names a file that exists; wanted a new one", CALLED_WRONGLY)
    key = make_key_file(key_file) if make_key else load_key_file(key_file)
    results: list[FileResult] = []
    if paths and out is not None:
        with _work_folder() as work:
            files = [file for _, source in _sources(paths, work, None) for file in source.files]
            try:
                for result in deidentify_files(files, out, key):
                    results.append(result)
            except OSError as error:
                fail(f"cannot read or write: {type(error).__name__}", BROKEN)
            finally:  # what has been written must not lose its way back
                if identities is not None:
                    write_identities(identities, results)
    rows = [
        {
            "source": str(result.source),
            "written": str(result.written) if result.written else None,
            "reason": result.reason,
            "detail": result.detail,
            "milliseconds": result.milliseconds,
        }
        for result in results
    ]
    table = Table("source", "written", "reason", "detail")
    for row in rows:
        table.add_row(*(str(row[name] or "") for name in ("source", "written", "reason", "detail")))
    say({"key": key.name, "files": rows}, table if rows else f"key {key.name}", as_json=as_json)
    raise typer.Exit(0 if all(result.written for result in results) else SAID_NO)


@contextmanager
def _goes_on_from(work: Path) -> Iterator[None]:
    """Says where the same command goes on, when it is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        fail(f"interrupted; the same command goes on from {work}", 130)


@contextmanager
def _work_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mri-guard-") as folder:
        yield Path(folder)


def _sources(paths: list[Path], work: Path, contrast: Contrast | None) -> list[tuple[str, Source]]:
    """Every series below the paths, under a label that is a folder name and tells them apart."""
    labelled: list[tuple[str, Source]] = []
    for number, path in enumerate(paths):
        own = work / str(number)
        own.mkdir()
        sources = open_sources(path, own, contrast)
        stem = re.sub(r"[^A-Za-z0-9_.-]", "_", path.name.split(".")[0]) or "scan"
        for index, source in enumerate(sources):
            label = stem if len(sources) == 1 else f"{stem}-{index + 1}"
            taken = {other for other, _ in labelled}
            labelled.append((label if label not in taken else f"{label}-{number + 1}", source))
    return labelled


def _draw(journey: Journey, kit: Kit, draws: int) -> Uncertainty | None:
    """Spread over draws of the latents; None without draws or where the model was not reached."""
    if not draws or journey.preprocessed is None or journey.anomaly is None:
        return None
    if not isinstance(kit.scorer, VaeScorer):
        raise SettingsError("the bundle's scorer has no latents to draw from")
    return uncertainty(kit.scorer, journey.preprocessed, draws, generator(kit.seed, "draws"))


def _figures(drawn: Uncertainty) -> dict[str, Any]:
    return {
        "draws": len(drawn.scores),
        "score_mean": drawn.score_mean,
        "score_spread": drawn.score_spread,
        "score_range": drawn.score_range,
        "meaning": MEANING,
    }


def _flagged_slices(journey: Journey) -> list[int] | None:
    """Slices above the bundle's slice threshold, from 0; None where there is no such threshold."""
    calibrated, anomaly = journey.examination.calibrated, journey.anomaly
    if calibrated is None or calibrated.slice_threshold is None or anomaly is None:
        return None
    return list(anomaly.slices_above(calibrated.slice_threshold))


def _print_examination(
    label: str, journey: Journey, drawn: Uncertainty | None, files: list[Path]
) -> None:
    examination, flagged = journey.examination, _flagged_slices(journey)
    decision = examination.decision
    color = {"release": "green", "review": "yellow", "quarantine": "red"}[decision.outcome]
    table = Table(title=label, title_justify="left", show_header=False, box=None)
    table.add_row("decision", f"[bold {color}]{decision.outcome}[/]")
    table.add_row("priority", decision.priority or "none")
    table.add_row("reasons", ", ".join(decision.reasons))
    table.add_row("detail", decision.detail)
    if examination.calibrated:
        table.add_row("guarantee", examination.calibrated.guarantee)
        if examination.calibrated.probability:
            table.add_row("probability of abnormality", str(examination.calibrated.probability))
    if flagged is not None:
        table.add_row("flagged slices", ", ".join(map(str, flagged)) or "none")
    if drawn is not None:
        low, high = drawn.score_range
        table.add_row(
            f"score over {len(drawn.scores)} draws",
            f"mean {drawn.score_mean:.3f}, standard deviation {drawn.score_spread:.3f}, 5th to "
            f"95th percentile {low:.3f} to {high:.3f}. {MEANING}",
        )
    for detector in examination.detectors:
        table.add_row(f"detector {detector.name}", f"p = {detector.p_value:.3g}, alone")
    if examination.perturbation:
        table.add_row("detectors together", f"p = {examination.perturbation.p_value:.3g}")
    steps = "  ".join(f"{step.name} {step.milliseconds:.0f}" for step in examination.steps)
    table.add_row("milliseconds", steps)
    for file in files:
        table.add_row("written", str(file))
    console.print(table, highlight=False)


@app.command()
@exits
def phantom(
    out: Annotated[Path, typer.Option(help="Folder for scans, masks and manifest.")],
    n: Annotated[int, typer.Option("-n", min=1, help="How many.")] = 20,
    seed: SeedOption = 0,
    contrast: Annotated[Contrast, typer.Option(help="FLAIR or T1.")] = Contrast.FLAIR,
    lesioned_share: Annotated[float, typer.Option(min=0, max=1)] = 0.5,
    split: Annotated[str, typer.Option(help="Written into the manifest.")] = "",
    pixel_mm: Annotated[
        list[float] | None,
        typer.Option(min=0.5, max=4.0, help="Size in plane; again for more, in turn; default: 1."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write synthetic heads with exact lesion masks and a manifest; nothing is downloaded."""
    if contrast not in LOOKS:
        fail(f"no phantom looks like {contrast}; wanted {' or '.join(LOOKS)}", CALLED_WRONGLY)
    manifest = write_phantoms(
        out,
        n,
        seed,
        contrast=contrast,
        lesioned_share=lesioned_share,
        split=split,
        pixels_mm=pixel_mm or (1.0,),
        prefix=split or "phantom",
        show_progress=console.is_terminal,
    )
    document = {"manifest": str(manifest), "phantoms": n, "seed": seed}
    say(document, f"{n} phantoms, seed {seed}: {manifest}", as_json=as_json)


@app.command()
@exits
def train(
    manifest: Annotated[list[Path], typer.Option(help="CSV; give it again for more.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    work: Annotated[
        Path, typer.Option(help="Checkpoint and cache; an interrupted run goes on from here.")
    ] = Path("var/training"),
    brain_mask: Annotated[
        Path | None,
        typer.Option(help="Weights of the brain mask; those of the shipped bundle by default."),
    ] = None,
    lesion_shapes: Annotated[
        Path | None,
        typer.Option(help="Folder of lesion masks without images, for synthetic lesions."),
    ] = None,
    label_maps: Annotated[
        Path | None,
        typer.Option(help="Folder of whole-head label maps, to learn from healthy heads of them."),
    ] = None,
    data_statement: Annotated[
        Path | None, typer.Option(help="Markdown for the card: data and licences.")
    ] = None,
    name: Annotated[str, typer.Option(help="Of the bundle.")] = "flair",
    version: Annotated[str, typer.Option(help="Of the bundle.")] = "0.1.0",
    contrast: Annotated[Contrast, typer.Option(help="What the scans are.")] = Contrast.FLAIR,
    steps: Annotated[int | None, typer.Option(min=1, help="Gradient steps.")] = None,
    other_manifest: Annotated[
        list[Path] | None,
        typer.Option(help="CSV of scans of another contrast, to tell it from; again for more."),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(help="Folder for training curves; wants the extra `tensorboard`."),
    ] = None,
    large: Annotated[bool, typer.Option(help="The configuration for one large GPU.")] = False,
    volume: Annotated[
        bool, typer.Option(help="The one in three dimensions, for one large GPU too.")
    ] = False,
    adversary: Annotated[
        Goal | None,
        typer.Option(help="Attack windows before they are learnt from, by this goal."),
    ] = None,
    adversary_share: Annotated[
        float, typer.Option(min=0.01, max=1, help="Of the windows; time is paid for these.")
    ] = 1.0,
    smooth_encoder: Annotated[
        float,
        typer.Option(min=0, help="Price of a nat that attacked pixels move the posterior by."),
    ] = 0.0,
    device: Annotated[str, typer.Option(help="To train on: cpu, cuda, cuda:1.")] = "cpu",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train on the manifests' `train` split, calibrate on `calibration`, write a bundle."""
    if large and volume:
        fail("--large and --volume are two configurations; wanted one", CALLED_WRONGLY)
    mask = load_brain_mask(brain_mask) if brain_mask else bundle_module.brain_mask(bundles.DEFAULT)
    settings = large_config() if large else volume_config() if volume else TrainConfig()
    if steps is not None:
        settings = settings.model_copy(update={"steps": steps})
    if adversary is not None:
        opponent = Adversary(goal=adversary, share=adversary_share, smooth=smooth_encoder)
        settings = settings.model_copy(update={"adversary": opponent})
    elif smooth_encoder:
        fail("--smooth-encoder wants an --adversary that moves the pixels", CALLED_WRONGLY)
    with _goes_on_from(work):
        digest = train_bundle(
            manifest,
            out,
            work=work,
            config=settings,
            seed=seed,
            brain_mask=mask,
            name=name,
            version=version,
            contrast=contrast,
            data=data_statement.read_text() if data_statement else "Not stated.",
            console=errors,
            shapes=load_lesion_shapes(lesion_shapes) if lesion_shapes else (),
            synthetic=healthy_heads(label_maps, contrast, seed) if label_maps else (),
            others=other_manifest or (),
            tensorboard=tensorboard,
            device=device,
        )
    say({"bundle": str(out), "digest": digest}, f"bundle {out}, digest {digest}", as_json=as_json)


@app.command("calibrate-checks")
@exits
def calibrate_checks(
    manifest: Annotated[list[Path], typer.Option(help="CSV; give it again for more.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    version: Annotated[str, typer.Option(help="Of the bundle to write.")],
    bundle: BundleOption = bundles.DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Learn the voxel checks' limits from clean scans; write a bundle that is else the same.

    The splits `train` and `validation` say what is usual, `calibration` how far from it is too far;
    scans of another contrast show what the bundle's is not.
    """
    digest = with_voxel_limits(bundle, manifest, out, version=version, console=errors)
    say({"bundle": str(out), "digest": digest}, f"bundle {out}, digest {digest}", as_json=as_json)


@app.command()
@exits
def calibrate(
    manifest: Annotated[list[Path], typer.Option(help="CSV; give it again for more.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    bundle: BundleOption = bundles.DEFAULT,
    split: Annotated[
        list[str] | None, typer.Option("--split", help="To use; default: calibration.")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(min=0.0001, max=0.5, help="False-positive rate; default: the bundle's."),
    ] = None,
    at_most: Annotated[
        int | None, typer.Option(min=0, help="Instead: at most so many false flags a day ...")
    ] = None,
    per_day: Annotated[
        int | None, typer.Option(min=1, help="... among so many healthy scans a day.")
    ] = None,
    delta: Annotated[
        float | None,
        typer.Option(
            min=0.0001, max=0.5, help="Probability of not holding it; default: the bundle's."
        ),
    ] = None,
    probability: Annotated[
        bool,
        typer.Option(
            "--probability", help="Give a probability of abnormality, from the abnormal scans."
        ),
    ] = False,
    drop_second_look: Annotated[
        bool,
        typer.Option(
            "--drop-second-look",
            help="Leave out the bundle's second look; `calibrate-second-look` makes it anew.",
        ),
    ] = False,
    version: Annotated[
        str | None, typer.Option(help="Of the bundle to write; default: the other's with `+site`.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make the thresholds from a site's own healthy scans; write a bundle that is else the same.

    They go through the whole journey, one scan of each person. Abnormal scans, where the manifest
    has them, tell what the threshold finds, and may give a probability.
    """
    if (at_most is None) != (per_day is None):
        fail("a daily budget wants both --at-most and --per-day", CALLED_WRONGLY)
    if alpha is not None and at_most is not None:
        fail("--alpha and --at-most are two budgets; wanted one", CALLED_WRONGLY)
    budget: Budget | None = None if alpha is None else Rate(alpha=alpha)
    if at_most is not None and per_day is not None:
        budget = _workload(at_most, per_day)
    with _work_folder() as work:
        digest, report = with_site_calibration(
            bundle,
            manifest,
            out,
            splits=split or ["calibration"],
            budget=budget,
            delta=delta,
            probability=probability,
            drop_second_look=drop_second_look,
            version=version,
            work=work,
            console=errors,
        )
    for warning in report.warnings:
        errors.print(f"mri-guard: {warning}", style="yellow", markup=False, highlight=False)
    document = {"bundle": str(out), "digest": digest, "report": report.model_dump(mode="json")}
    say(document, _site_table(report), as_json=as_json)
    if not as_json:
        console.print(f"bundle {out}, digest {digest}", highlight=False)


def _workload(at_most: int, per_day: int) -> Workload:
    try:
        return Workload(at_most=at_most, per_day=per_day)
    except ValidationError as error:
        fail("; ".join(one["msg"] for one in error.errors()), CALLED_WRONGLY)


def _two_numbers(day: str) -> tuple[int, int]:
    """At most so many, and of how many, of `3/100`."""
    numbers = re.fullmatch(r"(\d+)/(\d+)", day)
    if numbers is None:
        fail(f"--workload {day}; wanted two numbers as 3/100", CALLED_WRONGLY)
    return int(numbers[1]), int(numbers[2])


def _site_table(report: SiteReport) -> Table:
    """What a site's scans say, for people."""
    table = Table("what", "found")
    table.add_row("promise", f"{report.budget}, with probability {1 - report.delta:g}")
    table.add_row(
        "threshold",
        f"{report.threshold:.4f}, the {report.rank}. largest of {report.healthy} healthy scores",
    )
    table.add_row("the bundle's own", f"{report.threshold_before:.4f}")
    table.add_row("healthy scans above the bundle's own", str(report.flagged_before))
    table.add_row("healthy scans held as perturbed", str(report.held))
    for reason, count in report.unscored.items():
        table.add_row("healthy scans without a score", f"{count}: {reason}")
    table.add_row("abnormal scans found", str(report.found or "no abnormal scan"))
    like = report.exchangeable
    table.add_row(
        "exchangeable with the bundle's: rank sum",
        f"the site's is the higher in {like.above:.3f} of pairs, p = {like.above_p_value:.3g}",
    )
    table.add_row(
        "... largest difference of distribution functions",
        f"{like.apart:.3f}, p = {like.apart_p_value:.3g}",
    )
    for row in report.what_if:
        spread = "" if row.low == row.high else f" ({row.low:.4f} to {row.high:.4f})"
        found = "" if row.sensitivity is None else f", finds {row.sensitivity:.3f} of abnormal"
        table.add_row(
            f"if {row.share:.0%} are not healthy ({row.scans}, {row.supposed})",
            f"threshold {row.threshold:.4f}{spread}{found}",
        )
    return table


@app.command("label-consistency")
@exits
def label_consistency(
    manifest: Annotated[Path, typer.Option(help="CSV of labelled scans that are to be believed.")],
    bundle: BundleOption = bundles.DEFAULT,
    split: Annotated[
        list[str] | None, typer.Option("--split", help="To screen; again for more; default: all.")
    ] = None,
    by: Annotated[str, typer.Option(help="Column that says who sent a label.")] = "reader",
    reference: Annotated[
        Path | None,
        typer.Option(
            help="CSV of scans whose labels are beyond doubt, in the place of the bundle's "
            "calibration scans; no abnormal label is screened without abnormal ones."
        ),
    ] = None,
    false_share: Annotated[
        float,
        typer.Option(
            min=0.001,
            max=0.9,
            help="Of right labels among the flagged, on average; and the probability of any flag "
            "where all are right.",
        ),
    ] = FALSE_SHARE,
    as_json: JsonOption = False,
) -> None:
    """Which labels do not go with their scans? Before they are learnt from or calibrated on.

    Exits 1 where a label or a sender is flagged, or a label could not be screened.
    """
    every = read_manifest(manifest)
    rows = [row for row in every if split is None or row.split in split]
    if not rows:
        fail(f"{len(every)} scans, none in the splits {', '.join(split or ())}", CALLED_WRONGLY)
    known = read_manifest(reference) if reference else ()
    scores, _ = bundle_module.calibration(bundle)
    with bundle_module.load(bundle) as kit, _work_folder() as work:
        trusted, _ = said_of(kit, one_a_person(known), work)
        said, unscored = said_of(kit, rows, work, by=by)
    if not said:
        reasons = sorted({reason for one in unscored for reason in one.reasons})
        fail(f"none of {len(rows)} scans got a score: {', '.join(reasons)}", SAID_NO)
    screened = screen_labels(
        [one.labelled for one in said], known_from(scores, trusted), false_share
    )
    document = {
        "guarantee": screened.guarantee,
        "fewest": screened.fewest,
        "labels": [
            {"scan": str(one.scan), "part": one.part, **one.labelled.model_dump()}
            | judged.model_dump()
            for one, judged in zip(said, screened.labels, strict=True)
        ],
        "unscreened": screened.unscreened,
        "unscored": [{"scan": str(one.scan), "reasons": list(one.reasons)} for one in unscored],
        "senders": [sender.model_dump() for sender in screened.senders],
    }
    say(document, _labels_table(document), as_json=as_json)
    raise typer.Exit(0 if screened.clean and not unscored else SAID_NO)


def _labels_table(document: dict[str, Any]) -> Table:
    """What is doubted, for people."""
    labels = document["labels"]
    flagged = [one for one in labels if one["flagged"]]
    table = Table("scan", "label", "sender", "said", caption=document["guarantee"])
    for one in flagged:
        scan = f"{one['scan']}, {one['part']}"
        table.add_row(scan, one["label"], one["sender"], f"p = {one['p_value']:.3g}")
    for one in document["unscored"]:
        table.add_row(one["scan"], "", "", f"no score: {', '.join(one['reasons'])}")
    for one in document["senders"]:
        share = f"{one['unusual']} of {one['n']} unusual [{one['low']:.3f}, {one['high']:.3f}]"
        alone = one["p_value"] is None
        held = "" if alone else f", others {one['others']:.3f}, p = {one['p_value']:.3g}"
        mark = "FLAGGED: " if one["flagged"] else ""
        table.add_row("all", "", one["sender"], f"{mark}{share}{held}")
    table.add_row("all", "", "", f"{len(flagged)} of {len(labels)} labels flagged")
    if (document["fewest"] or 0) > 1:
        too_few = f"fewer than {document['fewest']} wrong ones cannot be flagged: few known scans"
        table.add_row("all", "", "", too_few)
    if document["unscreened"]:
        not_screened = f"{document['unscreened']} labels not screened: no known scan of their kind"
        table.add_row("all", "", "", not_screened)
    return table


@app.command("calibrate-second-look")
@exits
def calibrate_second_look(
    manifest: Annotated[list[Path], typer.Option(help="CSV; give it again for more.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    version: Annotated[str, typer.Option(help="Of the bundle to write.")],
    epsilon: Annotated[
        float, typer.Option(help="Of the alarm attack on healthy scans, normalised intensity.")
    ] = 4 / 255,
    steps: Annotated[int, typer.Option(help="Of that attack.")] = 10,
    sigma: Annotated[float, typer.Option(help="Noise of the look, normalised intensity.")] = SIGMA,
    draws: Annotated[int, typer.Option(help="Of the noise; each costs one screening.")] = 100,
    radius: Annotated[float, typer.Option(help="L2 norm up to which it holds.")] = 0.25,
    work: Annotated[Path, typer.Option(help="Cache of preprocessed scans.")] = Path("var/training"),
    device: Annotated[str, typer.Option(help="To score on, e.g. cuda.")] = "cpu",
    bundle: BundleOption = bundles.DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Calibrate the costlier look on attacked and smoothed healthy scans; write a bundle with it.

    Uses the `calibration` split. All else of the bundle stays as it is.
    """
    try:
        look = SecondLookConfig(
            epsilon=epsilon, steps=steps, sigma=sigma, draws=draws, radius=radius
        )
    except ValidationError as error:
        fail("; ".join(one["msg"] for one in error.errors()), CALLED_WRONGLY)
    digest = with_second_look(
        bundle,
        manifest,
        out,
        version=version,
        look=look,
        work=work,
        console=errors,
        device=device,
    )
    say({"bundle": str(out), "digest": digest}, f"bundle {out}, digest {digest}", as_json=as_json)


@app.command("calibrate-detectors")
@exits
def calibrate_detectors(
    manifest: Annotated[list[Path], typer.Option(help="CSV; give it again for more.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    version: Annotated[str, typer.Option(help="Of the bundle to write.")],
    bundle: BundleOption = bundles.DEFAULT,
    work: Annotated[
        Path, typer.Option(help="Preprocessed scans; an interrupted run goes on from here.")
    ] = Path("var/detectors"),
    detector: Annotated[
        list[str] | None,
        typer.Option(help="That the bundle shall have; again for more; default: every one."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Calibrate the perturbation detectors on clean scans; write a bundle that is else the same.

    They learn from the split `validation`; `calibration` and the scans with lesions of `train` say
    what clean scans have of their statistics.
    """
    digest = with_detector_calibration(
        bundle, manifest, out, work=work, version=version, console=errors, names=detector or ()
    )
    say({"bundle": str(out), "digest": digest}, f"bundle {out}, digest {digest}", as_json=as_json)


@app.command("train-brain-mask")
@exits
def train_mask(
    label_maps: Annotated[Path, typer.Option(help="Folder of whole-head label maps, 1 mm.")],
    out: Annotated[Path, typer.Option(help="Weights to write, .safetensors.")],
    steps: Annotated[int, typer.Option(min=1)] = 1300,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Train the brain mask on contrasts synthesised from label maps; goes on where it stopped."""
    train_brain_mask(label_maps, out, steps=steps, seed=seed, report=errors.print)
    say({"weights": str(out), "seed": seed}, f"brain mask: {out}", as_json=as_json)


@app.command()
@exits
def export(
    out: Annotated[Path, typer.Option(help="Folder for the networks and export.json.")],
    bundle: BundleOption = bundles.DEFAULT,
    formats: Annotated[
        list[export_module.NetworkFormat] | None,
        typer.Option("--format", help="torch (.pt2) or onnx; again for both; default: both."),
    ] = None,
    contrast: Annotated[Contrast, typer.Option(help="Of the phantoms.")] = Contrast.FLAIR,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Write a bundle's network for other runtimes, if it scores phantoms as the bundle does."""
    if contrast not in LOOKS:
        fail(f"no phantom looks like {contrast}; wanted {' or '.join(LOOKS)}", CALLED_WRONGLY)
    with bundle_module.load(bundle) as kit:
        scans = export_module.phantom_scans(kit.preprocess, contrast, seed)
        written = export_module.write(kit, out, formats or list(export_module.NetworkFormat), scans)
    table = Table("file", "score differs by", "map differs by", "SHA-256")
    for file in written.files.values():
        differences = (f"{file.parity.score:.1e}", f"{file.parity.map:.1e}")
        table.add_row(str(out / file.name), *differences, file.sha256)
    say(written.model_dump(mode="json"), table, as_json=as_json)


evaluate = typer.Typer(help="Manifest and bundle to evidence.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")


@evaluate.command("brain-mask")
@exits
def brain_mask_on_people(
    data: Annotated[Path, typer.Option(help="Folder of the development data.")],
    out: EvidenceOption,
    bundle: BundleOption = bundles.DEFAULT,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Dice of the brain mask on people, and how much of their tumours it keeps."""
    evidence = evaluate_brain_mask(
        data,
        Preprocess(bundle_module.brain_mask(bundle)),
        command=_command(),
        bundle_digest=bundle_module.card(bundle)[2],
        seed=seed,
    )
    _write_evidence(evidence, out, brain_mask_table(evidence), as_json=as_json)


@evaluate.command()
@exits
def detection(
    manifest: Annotated[Path, typer.Option(help="CSV with lesion masks.")],
    out: EvidenceOption,
    bundle: BundleOption = bundles.DEFAULT,
    split: SplitOption = None,
    gallery: Annotated[
        Path | None,
        typer.Option(help="Folder for pictures: best, worst, random, by size of lesion."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help="Baseline beside position; default: all. Two are trained."),
    ] = None,
    baselines: Annotated[
        Path | None,
        typer.Option(help="Folder that trained baselines are kept in; default: trained anew."),
    ] = None,
    learn_from: Annotated[
        Path | None,
        typer.Option(help="CSV whose train split the baselines learn from; default: MANIFEST."),
    ] = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """How well lesions are found, beside what finds them without a model."""
    try:
        known_baselines(only or ())
    except SettingsError as error:
        fail(str(error), CALLED_WRONGLY)
    with bundle_module.load(bundle) as kit, _work_folder() as work:
        evidence = evaluate_detection(
            manifest,
            split or ["test"],
            kit,
            command=_command(),
            work=work,
            seed=seed,
            gallery=gallery,
            only=only or (),
            baselines=baselines,
            learn_from=learn_from,
            console=errors,
        )
    _write_evidence(evidence, out, detection_table(evidence), as_json=as_json)
    if gallery is not None:
        errors.print(f"gallery: {gallery / INDEX}", highlight=False)


@evaluate.command()
@exits
def ablation(
    manifest: Annotated[list[Path], typer.Option(help="CSV to train on; give it again for more.")],
    evaluate_manifest: Annotated[
        Path, typer.Option(help="CSV with lesion masks: what is measured.")
    ],
    out: EvidenceOption,
    split: Annotated[
        list[str] | None, typer.Option("--split", help="To measure on; default: validation.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Row of the table; default: all.")
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option("--seed", help="Of a training; again for more; default: 0.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps of every row.")] = 900,
    work: Annotated[
        Path,
        typer.Option(
            help="Trained models and cache: what was trained is read; calls with other rows or "
            "seeds may run beside."
        ),
    ] = Path("var/ablation"),
    bundle: BundleOption = bundles.DEFAULT,
    brain_mask: Annotated[
        Path | None, typer.Option(help="Weights of the brain mask; those of the bundle by default.")
    ] = None,
    lesion_shapes: Annotated[
        Path | None,
        typer.Option(help="Folder of lesion masks without images, for synthetic lesions."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What each part of the detector is worth: taken away, trained anew, measured."""
    mask = load_brain_mask(brain_mask) if brain_mask else bundle_module.brain_mask(bundle)
    with _goes_on_from(work):
        evidence = evaluate_ablation(
            manifest,
            evaluate_manifest,
            split or ["validation"],
            config=TrainConfig(steps=steps),
            seeds=seed or [0],
            preprocess=Preprocess(mask),
            work=work,
            command=_command(),
            shapes=load_lesion_shapes(lesion_shapes) if lesion_shapes else (),
            only=only or (),
            console=errors,
        )
    _write_evidence(evidence, out, ablation_table(evidence), as_json=as_json)


@evaluate.command()
@exits
def poisoning(
    manifest: Annotated[list[Path], typer.Option(help="CSV to train on; give it again for more.")],
    evaluate_manifest: Annotated[
        Path, typer.Option(help="CSV with lesion masks: what is measured.")
    ],
    out: EvidenceOption,
    split: SplitOption = None,
    share: Annotated[
        list[float] | None,
        typer.Option(
            min=0.001,
            max=1,
            help="Of the patients, whose lesions are learnt from as healthy; again for more; "
            "default: 0.05 and 0.2. A training without poison stands beside always.",
        ),
    ] = None,
    poisoned: Annotated[
        list[str] | None,
        typer.Option(
            "--poison", help="Split whose patients these are, train or validation; default: train."
        ),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(
            "--seed", help="Of a training and who is poisoned; again for more; default: 0."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Gradient steps of every training.")] = 900,
    work: Annotated[
        Path,
        typer.Option(
            help="Trained models and cache: what was trained is read; without poison that is the "
            "row `full` of an ablation in the same folder."
        ),
    ] = Path("var/ablation"),
    bundle: BundleOption = bundles.DEFAULT,
    brain_mask: Annotated[
        Path | None, typer.Option(help="Weights of the brain mask; those of the bundle by default.")
    ] = None,
    lesion_shapes: Annotated[
        Path | None,
        typer.Option(help="Folder of lesion masks without images, for synthetic lesions."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What detection loses when lesions are hidden among what training takes for healthy.

    Calibrating on such scans is another matter: `calibrate` shows what it costs.
    """
    mask = load_brain_mask(brain_mask) if brain_mask else bundle_module.brain_mask(bundle)
    with _goes_on_from(work):
        evidence = evaluate_poisoning(
            manifest,
            evaluate_manifest,
            split or ["test"],
            config=TrainConfig(steps=steps),
            seeds=seed or [0],
            preprocess=Preprocess(mask),
            work=work,
            command=_command(),
            shares=share or SHARES,
            poisoned=poisoned or ["train"],
            shapes=load_lesion_shapes(lesion_shapes) if lesion_shapes else (),
            console=errors,
        )
    _write_evidence(evidence, out, poisoning_table(evidence), as_json=as_json)


@evaluate.command()
@exits
def calibration(
    manifest: Annotated[Path, typer.Option(help="CSV of scans nothing was fitted on.")],
    out: EvidenceOption,
    bundle: BundleOption = bundles.DEFAULT,
    split: SplitOption = None,
    alpha: Annotated[
        list[float] | None,
        typer.Option(
            min=0.0001, max=0.5, help="False-positive rate; again for more; default: 0.05 and 0.1."
        ),
    ] = None,
    workload: Annotated[
        list[str] | None,
        typer.Option(
            help="Daily budget of false flags beside them, as 3/100: at most 3 among 100 healthy "
            "scans a day; again for more."
        ),
    ] = None,
    work: WorkOption = Path("var/evaluated"),
    as_json: JsonOption = False,
) -> None:
    """What calibrated thresholds do to scans and slices: false flags, sensitivity, quarantine."""
    days = [_workload(*_two_numbers(day)) for day in workload or ()]
    budgets: list[Budget] = [*(Rate(alpha=one) for one in alpha or ()), *days]
    scores, policy = bundle_module.calibration(bundle)
    with _goes_on_from(work), bundle_module.load(bundle) as kit:
        evidence = evaluate_calibration(
            manifest,
            split or ["test"],
            kit,
            scores,
            delta=policy.delta,
            command=_command(),
            work=work,
            budgets=budgets or BUDGETS,
            console=errors,
        )
    if not as_json:
        console.print(price_table(evidence), highlight=False)
    _write_evidence(evidence, out, calibration_table(evidence), as_json=as_json)


@evaluate.command()
@exits
def sanitization(
    manifest: Annotated[
        Path, typer.Option(help="CSV; its column `expected` says where each scan should end.")
    ],
    out: EvidenceOption,
    bundle: BundleOption = bundles.DEFAULT,
    split: SplitOption = None,
    as_json: JsonOption = False,
) -> None:
    """What the checks before the model catch, refuse wrongly and cost, one by one."""
    with bundle_module.load(bundle) as kit:
        evidence = evaluate_sanitization(
            manifest, split or ["test"], kit, command=_command(), console=errors
        )
    _write_evidence(evidence, out, sanitization_table(evidence), as_json=as_json)


@evaluate.command()
@exits
def robustness(
    manifest: Annotated[
        Path, typer.Option(help="CSV with lesion masks, with healthy scans, or both.")
    ],
    out: EvidenceOption,
    bundle: BundleOption = bundles.DEFAULT,
    split: SplitOption = None,
    attack: Annotated[
        list[str] | None,
        typer.Option("--attack", help="By name; again for more; default: a suite of a few."),
    ] = None,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(
            min=0.01,
            max=255,
            help="Largest change of a voxel, 255ths of normalised intensity; again for more; "
            "default: 0.5, 1, 2, 4, 8, 16.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Gradient steps at each epsilon; default: each's own.")
    ] = None,
    limit_scans: Annotated[
        int | None, typer.Option(min=1, help="So many scans, drawn by the seed.")
    ] = None,
    goal: Annotated[
        list[str] | None,
        typer.Option("--goal", help="slices or scan: whose scores are moved; default: both."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Column to slice the figures by: sex, age, site."),
    ] = None,
    aware: Annotated[
        bool,
        typer.Option(
            "--aware", help="What the detectors notice counts for nothing: they are known."
        ),
    ] = False,
    gallery: Annotated[
        Path | None, typer.Option(help="Folder for pictures: before and after, and a plot.")
    ] = None,
    sanity_scans: Annotated[
        int, typer.Option(min=0, help="Scans looked at for masked gradients; 0: none.")
    ] = 1,
    work: WorkOption = Path("var/evaluated"),
    device: Annotated[str, typer.Option(help="To attack on: cpu, cuda, cuda:1.")] = "cpu",
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """What attacks on purpose do: lesions hidden, false alarms raised, at each epsilon.

    A gradient of a scan takes about a second on one core. Each attack takes its steps at each
    epsilon, on each scan for slices to evade, slices to alarm and the scan's own score: with 20
    steps and six epsilons about six minutes a scan and attack. Sanity checks take about three
    minutes on each scan that they look at.
    """
    try:
        plan = Plan(
            attacks=suite(attack or (), steps),
            of_255=tuple(sorted(set(epsilon or OF_255))),
            levels=goals(goal or ()),
            by=tuple(by or ()),
            limit=limit_scans,
            sanity_scans=sanity_scans,
            seed=seed,
        )
    except SettingsError as error:
        fail(str(error), CALLED_WRONGLY)
    with bundle_module.load(bundle) as kit:
        scorer = kit.scorer.to(device) if isinstance(kit.scorer, VaeScorer) else kit.scorer
        with _goes_on_from(work):
            evidence = evaluate_robustness(
                manifest,
                split or ["test"],
                replace(kit, scorer=scorer),
                plan,
                command=_command(),
                work=work,
                gallery=gallery,
                hidden=hidden if aware else None,
                console=errors,
            )
    _write_evidence(evidence, out, robustness_table(evidence), as_json=as_json)


@evaluate.command()
@exits
def certification(
    manifest: Annotated[Path, typer.Option(help="CSV with lesion masks.")],
    out: EvidenceOption,
    bundle: BundleOption = bundles.DEFAULT,
    split: SplitOption = None,
    sigma: Annotated[
        float,
        typer.Option(min=1e-6, help="Noise, normalised intensity; reaches further with more."),
    ] = SIGMA,
    draws: Annotated[
        int, typer.Option(min=1, help="Of the noise for each scan; each costs one screening.")
    ] = NOISE_DRAWS,
    limit_scans: Annotated[
        int | None, typer.Option(min=1, help="So many from the beginning; default: all.")
    ] = None,
    work: Annotated[
        Path, typer.Option(help="Scores of scans that are done: the same call goes on from here.")
    ] = Path("var/certification"),
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Which lesions are found whatever is done to the image up to an L2 norm; draws OUT.png too."""
    work.mkdir(parents=True, exist_ok=True)
    with _goes_on_from(work), bundle_module.load(bundle) as kit:
        evidence = evaluate_certification(
            manifest,
            split or ["test"],
            kit,
            command=_command(),
            work=work,
            sigma=sigma,
            draws=draws,
            limit_scans=limit_scans,
            seed=seed,
            picture=out.with_suffix(".png"),
            console=errors,
        )
    _write_evidence(evidence, out, certification_table(evidence), as_json=as_json)


@evaluate.command()
@exits
def perturbation(
    manifest: Annotated[Path, typer.Option(help="CSV of clean scans, lesioned or not.")],
    out: EvidenceOption,
    bundle: BundleOption = bundles.DEFAULT,
    split: SplitOption = None,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(min=0, help="Of the attacks, of 255; again for more; default: 4 and 8."),
    ] = None,
    attacks: Annotated[
        bool, typer.Option(help="Or false alarms alone, which take a fraction of the time.")
    ] = True,
    artifacts: Annotated[bool, typer.Option(help="Or none of scanner artifacts.")] = True,
    limit_scans: Annotated[
        int | None, typer.Option(min=1, help="Take the first so many scans alone.")
    ] = None,
    steps: Annotated[
        int, typer.Option(min=1, help="Gradient steps of each attack.")
    ] = UNAWARE.steps,
    work: Annotated[
        Path, typer.Option(help="What has been computed; an interrupted run goes on from here.")
    ] = Path("var/perturbation"),
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """What the perturbation detectors catch, hold wrongly, and miss of one who knows them."""
    scores, policy = bundle_module.calibration(bundle)
    healthy = [score for group in scores.healthy_scores.values() for score in group]
    with _goes_on_from(work), bundle_module.load(bundle) as kit:
        evidence = evaluate_perturbation(
            manifest,
            split or ["test"],
            kit,
            command=_command(),
            work=work,
            alpha=policy.perturbation_alpha,
            scale=statistics.stdev(healthy),
            seed=seed,
            epsilons=(epsilon or EPSILONS) if attacks else (),
            attack=replace(UNAWARE, steps=steps),
            artifacts=ARTIFACTS if artifacts else (),
            limit=limit_scans,
            console=errors,
        )
    _write_evidence(evidence, out, perturbation_table(evidence), as_json=as_json)


@evaluate.command()
@exits
def fairness(
    manifest: Annotated[Path, typer.Option(help="CSV with columns to group by.")],
    out: EvidenceOption,
    bundle: BundleOption = bundles.DEFAULT,
    split: SplitOption = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Column; again for more; default: sex, age, site if there."),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=1, max=2, help="Columns that may meet in one group.")
    ] = 2,
    gap: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Gap that matters, as a share.")
    ] = 0.10,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(min=0.01, help="Attack too, by so much of 255; again for more."),
    ] = None,
    attack: Annotated[
        list[str] | None, typer.Option("--attack", help="Name; again for more; as robustness.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Gradient steps at each epsilon.")
    ] = None,
    own_thresholds: Annotated[
        bool,
        typer.Option("--own-thresholds", help="Each site's own where its scores allow one."),
    ] = False,
    work: WorkOption = Path("var/evaluated"),
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """What the bundle does for each group of people; draws OUT.png too.

    With `--epsilon` the same under attack: answers that `evaluate robustness` has kept in the work
    folder for the same epsilons, attacks and seed are read.
    """
    try:
        attacks = suite(attack or (), steps) if epsilon else ()
    except SettingsError as error:
        fail(str(error), CALLED_WRONGLY)
    scores, policy = bundle_module.calibration(bundle)
    thresholds = site_thresholds(scores.healthy_scores, policy.alpha, policy.delta)
    with _goes_on_from(work), bundle_module.load(bundle) as kit:
        evidence = evaluate_fairness(
            manifest,
            split or ["test"],
            kit,
            command=_command(),
            work=work,
            by=by or (),
            depth=depth,
            claim=gap,
            attacks=attacks,
            of_255=sorted(set(epsilon or ())),
            own_thresholds=thresholds if own_thresholds else None,
            seed=seed,
            console=errors,
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    forest(evidence).save(out.with_suffix(".png"))
    _write_evidence(evidence, out, fairness_table(evidence), as_json=as_json)


@evaluate.command()
@exits
def risks(
    manifest: Annotated[Path, typer.Option(help="CSV of scans that nothing was trained on.")],
    out: EvidenceOption,
    bundle: BundleOption = bundles.DEFAULT,
    split: SplitOption = None,
    trained_on: Annotated[
        Path | None,
        typer.Option(help="CSV whose train split the model has learnt from; default: MANIFEST."),
    ] = None,
    limit_scans: Annotated[
        int | None,
        typer.Option(min=1, help="So many from the beginning, of both; default: all."),
    ] = None,
    saliency_scans: Annotated[
        int, typer.Option(min=1, help="So many are mapped with other weights, ten times each.")
    ] = SALIENCY_SCANS,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Posterior collapse, memorisation, membership inference, copied lesions, saliency sanity.

    About three seconds a scan on one core, and ten more for each whose weights are drawn anew.
    """
    with bundle_module.load(bundle) as kit, _work_folder() as work:
        evidence = evaluate_risks(
            manifest,
            split or ["test"],
            kit,
            command=_command(),
            work=work,
            trained_on=trained_on,
            limit_scans=limit_scans,
            saliency_scans=saliency_scans,
            seed=seed,
            console=errors,
        )
    _write_evidence(evidence, out, risks_table(evidence), as_json=as_json)


@evaluate.command("fairness-change")
@exits
def fairness_change(
    old: Annotated[Path, typer.Argument(help="Evidence of evaluate fairness.", show_default=False)],
    new: Annotated[Path, typer.Argument(help="The same, later.", show_default=False)],
    out: EvidenceOption,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """What a training, a defence or other thresholds changed for each group: new less old."""
    evidence = compare_fairness(_evidence(old), _evidence(new), command=_command(), seed=seed)
    _write_evidence(evidence, out, comparison_table(evidence), as_json=as_json)


def _evidence(path: Path) -> Evidence:
    try:
        return read_evidence([path])[0].evidence
    except UnreadableError as error:
        fail(str(error), CALLED_WRONGLY)


class _Report(TyperGroup):
    """`report F.json...` makes one; `report NAME` with the name of a command is that command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts `make` where no command is named."""
        named = args and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named or not args else ["make", *args])


report = typer.Typer(
    cls=_Report,
    help="Evidence to an audit report (report F.json... --out DIR), and what comes after.",
    no_args_is_help=True,
)
app.add_typer(report, name="report")


@report.command("make")
@exits
def make_report(
    evidence: Annotated[list[Path], typer.Argument(help="Evidence files.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to write; a report in it is replaced.")],
    bundle: BundleOption = bundles.DEFAULT,
    key: Annotated[
        Path | None, typer.Option(help="Private key that signs it; see `report key`.")
    ] = None,
    date: Annotated[
        datetime.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Day of issue; the clock is not read. Wanted with --key."
        ),
    ] = None,
    pdf: Annotated[bool, typer.Option(help="A PDF too; wants the extra `report`.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Write the audit report on a bundle: page, PDF/A-3, JSON, bill of materials. The default."""
    if key is not None and date is None:
        fail("--key signs a day of issue; wanted --date", CALLED_WRONGLY)
    written = write_report(
        evidence,
        bundle,
        out,
        issued=date.date() if date else None,
        key=load_private_key(key) if key else None,
        with_pdf=pdf,
    )
    others = [source.name for source in written.report.others]
    for what in written.skipped:
        errors.print(f"skipped: {what}", highlight=False)
    if others:
        errors.print(f"not of this bundle, and said so: {', '.join(others)}", highlight=False)
    table = Table("what", "")
    table.add_row("bundle", written.report.bundle.digest)
    table.add_row("evidence", ", ".join(source.name for source in written.report.own))
    table.add_row("no evidence of", ", ".join(written.report.missing) or "nothing is missing")
    table.add_row("files", ", ".join(written.files))
    document = {
        "bundle_digest": written.report.bundle.digest,
        "files": [str(out / name) for name in written.files],
        "skipped": list(written.skipped),
        "missing": list(written.report.missing),
        "not_of_this_bundle": others,
    }
    say(document, table, as_json=as_json)


@report.command("key")
@exits
def report_key(
    out: Annotated[Path, typer.Option(help="New file for the private key; FILE.pub beside it.")],
    as_json: JsonOption = False,
) -> None:
    """Make a key to sign reports with; there is no default one."""
    public = make_key(out)
    document = {"private": str(out), "public": str(public)}
    say(document, f"private key {out} (mode 0600), public key {public}", as_json=as_json)


@report.command("verify")
@exits
def verify(
    folder: Annotated[Path, typer.Argument(help="Folder of the report.", show_default=False)],
    key: Annotated[Path, typer.Option(help="Public key of who should have signed it.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Folder of the bundle that it should be on.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check signature, every byte, the bundle and that no figure of the evidence is missing."""
    public = load_public_key(key)
    digest = described(bundle).digest if bundle else None
    verified = verify_report(folder, public, digest)
    words = (
        f"{verified.files} files as they were signed, {verified.figures} figures, on bundle "
        f"{verified.bundle_digest}; signature of the PDF: {verified.pdf_signature}"
    )
    say(asdict(verified), words, as_json=as_json)


@report.command("compare")
@exits
def compare(
    old: Annotated[Path, typer.Argument(help="Folder of a report, or its report.json.")],
    new: Annotated[Path, typer.Argument(help="Likewise.")],
    as_json: JsonOption = False,
) -> None:
    """Gate a release: which figures are worse beyond the old interval, or gone; 1 if any is."""
    compared = compare_reports(load_report(old), load_report(new))
    gated = refused(compared)
    table = Table("evidence", "figure", "change", "old", "new", "")
    for row in compared:
        if row.change != "within":
            table.add_row(*_compared(row))
    counts = {
        change: sum(row.change == change for row in compared)
        for change in dict.fromkeys(row.change for row in compared)
    }
    table.caption = ", ".join(f"{count} {change.value}" for change, count in counts.items())
    document = {
        "refused": bool(gated),
        "figures": [
            {
                "file": row.file,
                "name": row.name,
                "change": row.change.value,
                "old": row.old.model_dump() if row.old else None,
                "new": row.new.model_dump() if row.new else None,
                "same_data": row.same_data,
            }
            for row in compared
        ],
    }
    say(document, table, as_json=as_json)
    raise typer.Exit(SAID_NO if gated else 0)


@report.command("schema")
def report_schema() -> None:
    """Print the JSON Schema of evidence files."""
    say(evidence_schema(), "", as_json=True)


def _compared(row: Compared) -> tuple[str, ...]:
    return (
        row.file,
        row.name,
        row.change.value,
        whole(row.old) if row.old else "",
        whole(row.new) if row.new else "",
        "" if row.same_data else "other data",
    )


def _command() -> str:
    """The command line, as evidence tells it."""
    return shlex.join(["mri-guard", *sys.argv[1:]])


def _write_evidence(evidence: Evidence, out: Path, table: Table, *, as_json: bool) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    evidence.save(out)
    say(evidence.model_dump(mode="json"), table, as_json=as_json)
    errors.print(f"evidence: {out}", highlight=False)
