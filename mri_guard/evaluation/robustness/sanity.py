"""Is the victim as strong as it looks, or does it only hide its gradient?

Signs of masked gradients: Athalye et al. 2018 (arXiv:1802.00420, section 3.1) and Carlini et al.
2019 (arXiv:1902.06705, section 5). Each is a check with a number on either side. One that fails
does not say what is wrong, but that the other figures tell nothing until somebody knows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mri_guard.attacks import Found, Pgd, Victim
from mri_guard.attacks.engine import Linf, Search, ascend, search_blocks, shortfall

SUSPECTED = "masked gradients suspected"
"""What a report says where a check fails."""

SLACK = 0.05
"""Share of a gain by which what should be stronger may be weaker: starts are random."""

NOISE_SHARE = 0.5
"""Of the gain of an attack: noise must stay below it."""

SMALLEST_SHARE = 0.01
"""Of the mask's voxels that must have a gradient; a model looks at the brain alone."""

SMALL = 1e-3
"""Step, normalised intensity, within which a score should do what its gradient promises."""

UNBOUNDED = 4.0
"""Largest change of the unbounded check, normalised intensity: any image within the scanner's
range lies within it. It is reached in doublings, each begun where the one before ended: from a
random start as far away noise alone raises the score."""

STEPS_A_DOUBLING = 4
"""Of the unbounded check: two cross the ball, two more turn."""

MEANING = {
    "gradients_exist": "gradients are finite, and not 0 in almost all of the mask",
    "gradients_tell_the_way": "a small step along the gradient's signs gains what it promises",
    "iterated_beats_single_step": "PGD gains at least what one step does",
    "white_box_beats_black_box": "PGD gains at least what is found by asking for scores alone",
    "more_steps_do_no_worse": "the second half of PGD's steps gains at least what the first does",
    "noise_does_far_less": "the best of random changes gains far less than PGD",
    "unbounded_reaches_all": "without a bound every goal is reached",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One sign, looked for on one victim.

    Attributes:
        name: one of `MEANING`.
        passed: whether things are as they should be.
        seen: what was measured; 0 where that is no finite number.
        wanted: what it had to reach, or to stay below; likewise.
    """

    name: str
    passed: bool
    seen: float
    wanted: float


@dataclass(frozen=True, slots=True)
class Sanity:
    """Looks for signs of masked gradients.

    Of one victim it takes at most `2 * steps + 2` gradients and those of the unbounded check, and
    about `4 * steps + looks` scores without.

    Attributes:
        epsilon: Linf budget of all checks but the unbounded one, normalised intensity.
        steps: of PGD until `more_steps_do_no_worse` compares; it then takes as many again.
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
            victim: whose gradient is in question; who else looks on (`Victim.hidden`) is not asked,
                as what is noticed says nothing about the gradient.
            rng: of random starts and changes.
        """
        victim = replace(victim, hidden=None)
        share, promised, kept, single = self._first_steps(victim, rng)
        pgd = Pgd(steps=2 * self.steps)(victim, self.epsilon, rng)
        iterated, (sooner, later) = _gain(pgd), self._halves(pgd)
        blind, noise = self._blind(victim, rng), self._noise(victim, rng)
        reached, most = self._unbounded(victim), NOISE_SHARE * iterated
        return [
            _check("gradients_exist", share >= SMALLEST_SHARE, share, SMALLEST_SHARE),
            _check("gradients_tell_the_way", kept >= 0.5 * promised > 0, kept, 0.5 * promised),
            _at_least("iterated_beats_single_step", iterated, single),
            _at_least("white_box_beats_black_box", iterated, blind),
            _at_least("more_steps_do_no_worse", later, sooner),
            _check("noise_does_far_less", noise <= most and iterated > 0, noise, most),
            _check("unbounded_reaches_all", reached >= 1.0, reached, 1.0),
        ]

    def _first_steps(
        self, victim: Victim, rng: np.random.Generator
    ) -> tuple[float, float, float, float]:
        """Share of the mask's voxels with a gradient, the smaller of clean image and random start,
        0 where one is not finite; gain that the clean image's gradient promises for a `SMALL` step
        along its signs, and what that step gains; gain of one signed step of epsilon (Goodfellow
        et al. 2015, arXiv:1412.6572).
        """
        search, ball = Search(victim), Linf(victim, self.epsilon)
        gradient, elsewhere = (
            search.climb(start, ball.image)[1] for start in (ball.rest(), ball.draw(rng))
        )
        if not bool(torch.isfinite(gradient).all() and torch.isfinite(elsewhere).all()):
            return (0.0,) * 4
        share = min(float((one[victim.mask] != 0).float().mean()) for one in (gradient, elsewhere))
        step = Linf(victim, SMALL).steepest(gradient)
        kept = float((search.look(ball.image(step)) - search.clean).sum())
        single = search.look(ball.image(ball.steepest(gradient))) - search.clean
        promised = float((gradient * step).sum())
        return share, promised, kept, float(single.clamp_min(0).mean())

    def _halves(self, pgd: Found) -> tuple[float, float]:
        """Gain of the best image of the first half of the steps, and of those after it."""
        gains = (np.array(pgd.history[1:]) - pgd.history[0]) / len(pgd.margins)
        return float(gains[: self.steps + 1].max()), float(gains[self.steps + 1 :].max())

    def _blind(self, victim: Victim, rng: np.random.Generator) -> float:
        """A search by blocks, without a gradient."""
        search = Search(victim)
        search_blocks(search, Linf(victim, self.epsilon), rng, looks=4 * self.steps)
        return _gain(search.found())

    def _noise(self, victim: Victim, rng: np.random.Generator) -> float:
        """Best of uniform changes."""
        search, ball = Search(victim), Linf(victim, self.epsilon)
        for _ in range(self.looks):
            search.look(ball.image(ball.draw(rng)))
        return _gain(search.found())

    def _unbounded(self, victim: Victim) -> float:
        """Share of goals that are reached, the bound doubled until all are or it is `UNBOUNDED`."""
        search, start, epsilon = Search(victim), victim.image, self.epsilon
        lacking = shortfall(torch.zeros_like(search.clean))
        while epsilon <= UNBOUNDED and not bool((search.margins > 0).all()):
            ball = Linf(replace(victim, image=start), epsilon)
            change = ascend(
                search,
                ball,
                ball.rest(),
                steps=STEPS_A_DOUBLING,
                step_size=0.5,
                objective=lacking,
            )
            start, epsilon = ball.image(change), 2 * epsilon
        return float((search.margins > 0).float().mean())


def suspected(checks: Sequence[Check]) -> bool:
    """Whether the report must say so."""
    return not all(check.passed for check in checks)


def _gain(found: Found) -> float:
    """Mean over the goals of the largest margin less the clean one."""
    return (float(found.margins.sum()) - found.history[0]) / len(found.margins)


def _at_least(name: str, seen: float, other: float) -> Check:
    wanted = other - SLACK * abs(other)
    return _check(name, seen >= wanted and seen > 0, seen, wanted)


def _check(name: str, passed: bool, seen: float, wanted: float) -> Check:
    """The check; what is not finite compares as failed, and is kept as 0: JSON has no other."""
    seen, wanted = (one if math.isfinite(one) else 0.0 for one in (seen, wanted))
    return Check(name, passed, seen, wanted)
