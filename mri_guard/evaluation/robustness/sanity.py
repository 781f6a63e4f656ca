"""Is the victim as strong as it looks, or does it only hide its gradient?

Signs of masked gradients: Athalye et al. 2018 (arXiv:1802.00420, section 3.1) and Carlini et al.
2019 (arXiv:1902.06705, section 5). Each is a check with a number on either side. One that fails
does not say what is wrong, but that the other figures tell nothing until somebody knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mri_guard.attacks import Found, Pgd, Victim
from mri_guard.attacks.engine import Linf, Search, ascend

SUSPECTED = "masked gradients suspected"
"""What a report says where a check fails."""

SLACK = 0.05
"""Share of a gain by which what should be stronger may be weaker: starts are random."""

NOISE_SHARE = 0.5
"""Of the gain of an attack: noise must stay below it."""

SMALLEST_SHARE = 0.01
"""Of the mask's voxels that must have a gradient; a model looks at the brain alone."""

UNBOUNDED = 4.0
"""Largest change of the unbounded check, normalised intensity: any image within the scanner's
range lies within it. It is reached in doublings, each begun where the one before ended: from a
random start as far away noise alone raises the score."""

MEANING = {
    "gradients_exist": "gradients are finite, and not 0 in almost all of the mask",
    "gradients_tell_the_way": "a small step along the gradient's signs gains what it promises",
    "iterated_beats_single_step": "PGD gains at least what one step does",
    "white_box_beats_black_box": "PGD gains at least what is found by asking for scores alone",
    "more_steps_do_no_worse": "twice the steps gain at least as much",
    "noise_does_far_less": "the best of random changes gains far less than PGD",
    "unbounded_reaches_all": "without a bound every goal is reached",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One sign, looked for on one victim.

    Attributes:
        name: one of `MEANING`.
        passed: whether things are as they should be.
        seen: what was measured.
        wanted: what it had to reach.
    """

    name: str
    passed: bool
    seen: float
    wanted: float


@dataclass(frozen=True, slots=True)
class Sanity:
    """Looks for signs of masked gradients.

    Attributes:
        epsilon: Linf budget of all checks but the unbounded one, normalised intensity.
        steps: of PGD.
        looks: random changes that are tried.
    """

    epsilon: float = 4 / 255
    steps: int = 10
    looks: int = 10

    def __call__(self, victim: Victim, rng: np.random.Generator) -> list[Check]:
        """All checks, in the order of `MEANING`.

        Gains are means over the goals of the largest margin less the clean one, in the victim's
        scale.

        Args:
            victim: whose gradient is in question.
            rng: of random starts and changes.
        """
        pgd = self._gain(victim, Pgd(steps=self.steps)(victim, self.epsilon, rng))
        longer = self._gain(victim, Pgd(steps=2 * self.steps)(victim, self.epsilon, rng))
        iterated = max(pgd, longer)
        noise = self._noise(victim, rng)
        promised, kept = self._promise(victim)
        share = self._share_with_gradient(victim, rng)
        reached = self._unbounded(victim, rng)
        return [
            Check("gradients_exist", share >= SMALLEST_SHARE, share, SMALLEST_SHARE),
            Check("gradients_tell_the_way", kept >= 0.5 * promised > 0, kept, 0.5 * promised),
            _at_least("iterated_beats_single_step", iterated, self._single(victim)),
            _at_least("white_box_beats_black_box", iterated, self._blind(victim, rng)),
            _at_least("more_steps_do_no_worse", longer, pgd),
            Check(
                "noise_does_far_less",
                noise <= NOISE_SHARE * iterated and iterated > 0,
                noise,
                NOISE_SHARE * iterated,
            ),
            Check("unbounded_reaches_all", reached >= 1.0, reached, 1.0),
        ]

    def _gain(self, victim: Victim, found: Found) -> float:
        with torch.no_grad():
            clean = victim.margins(victim.image)
        return float((found.margins - clean).mean())

    def _single(self, victim: Victim) -> float:
        """One signed step of epsilon from the clean image (Goodfellow et al. 2015)."""
        search, ball = Search(victim), Linf(victim, self.epsilon)
        ascend(search, ball, ball.rest(), steps=1, step_size=1.0)
        return self._gain(victim, search.found())

    def _blind(self, victim: Victim, rng: np.random.Generator) -> float:
        """Squares of one sign, kept where the sum of margins rises: a black box of few lines, after
        Andriushchenko et al. 2020 (arXiv:1912.00049).
        """
        search, ball = Search(victim), Linf(victim, self.epsilon)
        signs = rng.choice([-1.0, 1.0], size=(len(victim.image), 1, *victim.image.shape[2:]))
        change = ball.project(self.epsilon * torch.as_tensor(signs).to(victim.image))
        best = float(search.look(ball.image(change)).sum())
        for _ in range(4 * self.steps):
            tried = ball.project(self._square(change, rng))
            reached = float(search.look(ball.image(tried)).sum())
            if reached > best:
                change, best = tried, reached
        return self._gain(victim, search.found())

    def _square(self, change: Tensor, rng: np.random.Generator) -> Tensor:
        """The change with a block of each slice at one end of the ball."""
        rows, columns = change.shape[2:]
        side = max(1, rows // 4)
        x, y = rng.integers(0, rows - side + 1), rng.integers(0, columns - side + 1)
        signs = torch.as_tensor(rng.choice([-1.0, 1.0], size=len(change))).to(change)
        tried = change.clone()
        tried[..., x : x + side, y : y + side] = self.epsilon * signs[:, None, None, None]
        return tried

    def _noise(self, victim: Victim, rng: np.random.Generator) -> float:
        """Best of uniform changes."""
        search, ball = Search(victim), Linf(victim, self.epsilon)
        for _ in range(self.looks):
            search.look(ball.image(ball.draw(rng)))
        return self._gain(victim, search.found())

    def _promise(self, victim: Victim) -> tuple[float, float]:
        """Gain that the gradient at the clean image promises for a step of a thousandth of the
        intensity range along its signs, and what the step gains.
        """
        search = Search(victim)
        ball = Linf(victim, 1e-3)
        margins, gradient = search.climb(ball.rest(), ball.image)
        step = ball.steepest(gradient)
        moved = search.look(ball.image(step))
        return float((gradient * step).sum()), float((moved - margins).sum())

    def _share_with_gradient(self, victim: Victim, rng: np.random.Generator) -> float:
        """Share of the mask's voxels with a gradient, the smaller of clean image and random start;
        0 where one is not finite.
        """
        search, ball = Search(victim), Linf(victim, self.epsilon)
        shares = []
        for start in (ball.rest(), ball.draw(rng)):
            _, gradient = search.climb(start, ball.image)
            if not bool(torch.isfinite(gradient).all()):
                return 0.0
            shares.append(float((gradient[victim.mask] != 0).float().mean()))
        return min(shares)

    def _unbounded(self, victim: Victim, rng: np.random.Generator) -> float:
        """Share of goals that are reached, the bound doubled until all are or it is `UNBOUNDED`."""
        reached = victim.margins(victim.image).detach() > 0
        start, epsilon = victim.image, self.epsilon
        while epsilon <= UNBOUNDED and not bool(reached.all()):
            found = Pgd(steps=self.steps)(replace(victim, image=start), epsilon, rng)
            reached |= found.margins > 0
            start, epsilon = found.image, 2 * epsilon
        return float(reached.float().mean())


def suspected(checks: Sequence[Check]) -> bool:
    """Whether the report must say so."""
    return not all(check.passed for check in checks)


def _at_least(name: str, seen: float, other: float) -> Check:
    wanted = other - SLACK * abs(other)
    return Check(name, seen >= wanted and seen > 0, seen, wanted)
