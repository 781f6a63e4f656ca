"""Attacks on scans, run once and kept: what is there already is read, so that work goes on.

A larger budget holds the smaller one: an attack goes on from where a smaller budget had brought it.
Its ball lies then around that image, with the rest of the budget for its radius, and within the
larger ball around the clean one.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mri_guard.anomaly import VaeScorer
from mri_guard.attacks import Attack, Direction, Threat, Victim
from mri_guard.determinism import generator
from mri_guard.kept import code_digest, digest_of, digest_of_arrays, keep
from mri_guard.readers.manifest import ManifestRow
from mri_guard.records import Preprocessed
from mri_guard.under_attack import scan_victim, slice_victim, slices_of

Level = Literal["slices", "scan"]
"""What the goals are: the score of each slice of one kind, or the scan's own."""

Detectors = Callable[[Tensor], Tensor]
"""What holds an attacker who knows the detectors, see `Victim.hidden`."""

HERE = "evaluation/robustness"
CODE = (
    "anomaly",
    "attacks",
    "artifacts",
    "defences",
    "perturbation",
    "metrics",
    "preprocess",
    "determinism.py",
    "otsu.py",
    "symmetry.py",
    "under_attack.py",
    f"{HERE}/attacked.py",
    f"{HERE}/watched.py",
)
"""What answers depend on, below the package; another version of it asks again."""

GOES_ON = (Threat.LINF, Threat.L2)
"""Threats whose changes add up, so that an attack may begin where a smaller budget ended."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One scan to attack.

    Attributes:
        row: of the manifest.
        preprocessed: the clean scan on the model's grid.
        lesion: bool, (x, y, z); None where there is one that nobody drew.
    """

    row: ManifestRow
    preprocessed: Preprocessed
    lesion: NDArray[np.bool_] | None

    def digest(self) -> str:
        """SHA-256 of what an attack sees of it, hex."""
        seen = self.preprocessed
        return digest_of_arrays(seen.image, seen.brain, seen.head, seen.affine, self.lesion)


@dataclass(frozen=True, slots=True)
class Task:
    """One attack on one scan.

    Attributes:
        level: what its goals are.
        direction: which way they are pushed.
        attack: with all that sets it.
        epsilon: its budget, see `Threat`.
    """

    level: Level
    direction: Direction
    attack: Attack
    epsilon: float


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What came of a task.

    Attributes:
        goals: int64, (k,), the slices that were pushed; -1 for the scan's score.
        clean: float64, (k,), their scores before.
        worst: float64, (k,), the furthest that each came, over all images looked at.
        first: int64, (k,), the look that first passed the threshold, smaller budgets' looks counted
            too where the attack went on from them; 0 where none did.
        queries: looks in all.
        change: float16, (z, 1, x, y), of the image whose margins have the largest sum.
    """

    goals: NDArray[np.int64]
    clean: NDArray[np.float64]
    worst: NDArray[np.float64]
    first: NDArray[np.int64]
    queries: int
    change: NDArray[np.float16]

    def image(self, clean: Preprocessed) -> Preprocessed:
        """The scan with the change."""
        change = np.moveaxis(self.change[:, 0], 0, 2).astype(np.float32)
        return replace(clean, image=np.ascontiguousarray(clean.image + change))


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """Runs tasks against one scorer.

    Attributes:
        scorer: that is attacked.
        thresholds: of slice scores and of scan scores.
        scale: standard deviation of healthy scores.
        folder: where answers are kept.
        seed: root seed.
        hidden: for an attacker who knows the detectors; None for one who does not.
        known: digest of the bundle whose detectors he knows; empty where he knows none.
    """

    scorer: VaeScorer
    thresholds: dict[Level, float]
    scale: float
    folder: Path
    seed: int
    hidden: Callable[[Target], Detectors] | None = None
    known: str = ""

    def victim(
        self, target: Target, level: Level, direction: Direction
    ) -> tuple[Victim, NDArray[np.int64]] | None:
        """The victim and its goals; None where the scan has none of this kind.

        Slices want a drawn lesion or its absence; a scan evades where it is abnormal and alarms
        where it is healthy.
        """
        threshold = self.thresholds[level]
        if level == "scan":
            if (target.row.label == "abnormal") != (direction == "evade"):
                return None
            victim = scan_victim(
                self.scorer,
                target.preprocessed,
                direction=direction,
                threshold=threshold,
                scale=self.scale,
            )
            found = victim, np.array([-1])
        else:
            if target.lesion is None:
                return None
            some = slice_victim(
                self.scorer,
                target.preprocessed,
                slices_of(target.lesion, direction),
                direction=direction,
                threshold=threshold,
                scale=self.scale,
            )
            if some is None:
                return None
            found = some
        if self.hidden is not None:
            found = replace(found[0], hidden=self.hidden(target)), found[1]
        return found

    def climb(
        self,
        target: Target,
        level: Level,
        direction: Direction,
        attack: Attack,
        epsilons: Sequence[float],
    ) -> list[Answer]:
        """An answer for each budget; empty where the scan has no such goal.

        Args:
            target: to attack.
            level: see `Task`.
            direction: see `Task`.
            attack: see `Task`.
            epsilons: rising. Where changes add up, each goes on from the one before; in any case
                none is told to have come less far than the one before.
        """
        made = self.victim(target, level, direction)
        if made is None:
            return []
        victim, goals = made
        answers: list[Answer] = []
        key = ""
        begun: tuple[Answer, float] | None = None
        for epsilon in epsilons:
            task = Task(level, direction, attack, epsilon)
            key = self._key(target, task, key)
            path = self.folder / f"{key}.npz"
            answer = read_answer(path)
            if answer is None:
                drawn_for = target.digest(), level, direction, attack.name, repr(epsilon)
                rng = generator(self.seed, "robustness", *drawn_for)
                write_answer(path, _asked(victim, goals, task, rng, begun))
                answer = read_answer(path)
                assert answer is not None  # noqa: S101 - it has just been written
            if answers:
                answer = _at_least(answer, answers[-1], direction)
            answers.append(answer)
            if attack.threat in GOES_ON:
                begun = answer, epsilon
            else:
                key = ""
        return answers

    def _key(self, target: Target, task: Task, after: str) -> str:
        """Digest of all that an answer depends on; another of any asks anew."""
        return digest_of(
            self.scorer.digest(),
            target.digest(),
            code_digest(*CODE),
            task.level,
            task.direction,
            task.attack.name,
            repr(task.attack),
            task.epsilon,
            self.thresholds[task.level],
            self.scale,
            self.seed,
            self.known,
            after,
        )


def _asked(
    victim: Victim,
    goals: NDArray[np.int64],
    task: Task,
    rng: np.random.Generator,
    begun: tuple[Answer, float] | None,
) -> Answer:
    """The answer, the attack run.

    Args:
        victim: to attack.
        goals: of its scores.
        task: what to do.
        rng: of the attack.
        begun: what a smaller budget came to, and that budget; the attack goes on from there.
    """
    with torch.no_grad():
        clean = victim.scores(victim.image).double().cpu().numpy()
    if begun is None:
        found = task.attack(victim, task.epsilon, rng)
        first, queries = found.first.cpu().numpy(), found.queries
    else:
        before, spent = begun
        start = victim.image + torch.from_numpy(before.change.astype(np.float32)).to(victim.image)
        found = task.attack(replace(victim, image=start), task.epsilon - spent, rng)
        later = found.first.cpu().numpy()
        first = np.where(before.first > 0, before.first, (later > 0) * (before.queries + later))
        queries = before.queries + found.queries
    worst = victim.scores_of(found.margins).double().cpu().numpy()
    change = (found.image - victim.image).cpu().numpy().astype(np.float16)
    return Answer(goals, clean, worst, first.astype(np.int64), queries, change)


def _at_least(answer: Answer, before: Answer, direction: Direction) -> Answer:
    """The answer, no score less far than a smaller budget had pushed it."""
    further = np.minimum if direction == "evade" else np.maximum
    return replace(answer, worst=further(answer.worst, before.worst))


def unchanged(victim: Victim, goals: NDArray[np.int64]) -> Answer:
    """The answer of nobody: the clean image."""
    with torch.no_grad():
        clean, margins = victim.scores(victim.image), victim.margins(victim.image)
    scores = clean.double().cpu().numpy()
    reached = (margins > 0).cpu().numpy().astype(np.int64)
    change = np.zeros(tuple(victim.image.shape), np.float16)
    return Answer(goals, scores, scores.copy(), reached, 1, change)


def strongest(answers: Sequence[Answer], direction: Direction) -> Answer:
    """For each goal the furthest of all answers, and of them the change that moved most in all.

    Args:
        answers: at least one, of one victim.
        direction: of all.
    """
    sign = -1 if direction == "evade" else 1
    worst = np.max([sign * answer.worst for answer in answers], axis=0)
    most = max(answers, key=lambda answer: float((sign * answer.worst).sum()))
    firsts = np.array([np.where(a.first > 0, a.first, np.iinfo(np.int64).max) for a in answers])
    fewest = firsts.min(axis=0)
    return replace(
        most,
        worst=sign * worst,
        first=np.where(fewest == np.iinfo(np.int64).max, 0, fewest),
        queries=sum(answer.queries for answer in answers),
    )


def read_answer(path: Path) -> Answer | None:
    """The answer that was kept; None where there is none."""
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as kept:
        return Answer(
            goals=kept["goals"],
            clean=kept["clean"],
            worst=kept["worst"],
            first=kept["first"],
            queries=int(kept["queries"]),
            change=kept["change"],
        )


def write_answer(path: Path, answer: Answer) -> None:
    """Keeps an answer."""
    written = io.BytesIO()
    np.savez_compressed(
        written,
        goals=answer.goals,
        clean=answer.clean,
        worst=answer.worst,
        first=answer.first,
        queries=np.array(answer.queries),
        change=answer.change,
    )
    keep(path, written.getvalue())
