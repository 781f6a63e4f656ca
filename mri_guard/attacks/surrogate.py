"""A small network that learns the victim's answers, and its gradient (Papernot et al. 2017,
arXiv:1602.02697)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mri_guard.attacks.engine import Access, Found, Linf, Parts, Search, Threat, Victim

TILES = (1, 2, 4)
"""Sides of the squares that questions are made of, in pixels of the network."""
RATE = 0.03
"""Adam's at the first lesson; falls to 0 linearly."""


class Imitation(nn.Module):
    """What each slice adds to its part's margins, (b, z), of changes (b, z, x, y).

    A weight for each place, and convolutions over the image and the change for what bends.

    Args:
        image: clean, (z, x, y), as coarse as the changes.
        mask: share of each pixel that may change, like image.
        width: channels.
    """

    def __init__(self, image: Tensor, mask: Tensor, width: int) -> None:
        super().__init__()
        self.register_buffer("image", image)
        self.register_buffer("mask", mask)
        self.weight = nn.Parameter(torch.zeros_like(image))
        last = nn.Conv2d(width, 1, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(
            nn.Conv2d(2, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
            last,
        )

    def forward(self, changes: Tensor) -> Tensor:
        """See the class."""
        count, slices, rows, columns = changes.shape
        image, mask = (self.get_buffer(name).expand_as(changes) for name in ("image", "mask"))
        seen = torch.stack([image, changes], 2).reshape(-1, 2, rows, columns)
        bent: Tensor = self.layers(seen).reshape(count, slices, rows, columns)
        # By the root, since signs at random add up to no more than that.
        size = mask.sum((2, 3)).clamp_min(1).sqrt()
        return ((self.weight * changes + bent) * mask).sum((2, 3)) / size


@dataclass(frozen=True, slots=True)
class Surrogate:
    """Questions at random, a network that learns the answers, and what its gradient proposes.

    In rounds: the victim is asked about random changes of the best so far, the network learns on
    all answers, and its own best change is asked about in turn.

    Attributes:
        queries: looks at most.
        rounds: of asking and learning.
        tile: pixels of the image along a pixel of the network, in each slice.
        width: of the network.
        lessons: steps of Adam in each round, each on a batch of questions.
        steps: signed steps on the network's answers.
    """

    name: ClassVar[str] = "surrogate"
    threat: ClassVar[Threat] = Threat.LINF
    access: ClassVar[Access] = Access.SCORE
    queries: int = 150
    rounds: int = 3
    tile: int = 2
    width: int = 12
    lessons: int = 80
    steps: int = 10

    def __call__(self, victim: Victim, epsilon: float, rng: np.random.Generator) -> Found:
        """The best of all questions, the network's proposals among them.

        Args:
            victim: see `Victim`.
            epsilon: largest change of a voxel, normalised intensity.
            rng: draws questions, the network's first weights and its batches.
        """
        search, ball = Search(victim), Linf(victim, epsilon)
        parts = Parts.found(search, ball.steepest(ball.draw(rng)), self.queries // 5)
        pupil = Pupil.of(victim, parts, self.tile, self.width, rng)
        rest = parts.values(search.clean)

        def ask(question: Tensor) -> None:
            change = ball.project(epsilon * pupil.wide(question))
            pupil.hear(question, parts.values(search.look(ball.image(change))) - rest)

        for number in range(self.rounds):
            looks = (self.queries - search.queries) // (self.rounds - number)
            for _ in range(looks - 1):
                ask(pupil.question(rng, 1.0 if number == 0 else 0.3))
            if looks > 1:
                pupil.learn(self.lessons, rng)
                ask(pupil.proposal(self.steps))
        return search.found()


@dataclass(slots=True, eq=False)
class Pupil:
    """An `Imitation`, and what it was told.

    Attributes:
        network: that learns.
        parts: of the stack.
        victim: whose shape questions are brought to.
        tile: pixels of the image along a pixel of a question.
        questions: (n, z, x, y), changes in [-1, 1], the first one none.
        answers: (n, p), what each part's margins gained.
    """

    network: Imitation
    parts: Parts
    victim: Victim
    tile: int
    questions: Tensor
    answers: Tensor

    @classmethod
    def of(
        cls, victim: Victim, parts: Parts, tile: int, width: int, rng: np.random.Generator
    ) -> "Pupil":
        """One that knows nothing yet."""
        image, mask = (
            functional.avg_pool2d(stack.to(victim.image), tile, ceil_mode=True)[:, 0]
            for stack in (victim.image, victim.mask)
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            network = Imitation(image, mask, width).to(image.device)
        answers = torch.zeros(1, parts.count).to(image)
        return cls(network, parts, victim, tile, torch.zeros_like(image)[None], answers)

    def wide(self, question: Tensor) -> Tensor:
        """A question in the image's shape."""
        _, _, rows, columns = self.victim.image.shape
        wide = question.repeat_interleave(self.tile, 1).repeat_interleave(self.tile, 2)
        return wide[:, None, :rows, :columns]

    def question(self, rng: np.random.Generator, share: float) -> Tensor:
        """What was best in each part so far, with new signs in a share of squares, (z, x, y)."""
        best = self.answers.argmax(0)[self.parts.of_slice.clamp_min(0)]
        told = self.questions[best, torch.arange(len(best), device=best.device)]
        side = int(rng.choice(TILES))
        slices, rows, columns = told.shape
        coarse = (slices, -(-rows // side), -(-columns // side))
        signs = rng.choice([-1.0, 1.0], coarse) * (rng.random(coarse) < share)
        drawn = torch.as_tensor(signs).to(told)
        drawn = drawn.repeat_interleave(side, 1).repeat_interleave(side, 2)[:, :rows, :columns]
        return torch.where(drawn == 0, told, drawn)

    def hear(self, question: Tensor, answer: Tensor) -> None:
        """Remembers what was asked and told."""
        self.questions = torch.cat([self.questions, question[None]])
        self.answers = torch.cat([self.answers, answer[None]])

    def guess(self, questions: Tensor) -> Tensor:
        """What each part is believed to answer, (n, p), in units of its answers' spread."""
        free = self.parts.of_slice >= 0
        each: Tensor = self.network(questions)[:, free]
        out = each.new_zeros(len(questions), self.parts.count)
        return out.index_add(1, self.parts.of_slice[free], each)

    def spread(self) -> Tensor:
        """Root mean square of each part's answers, (p,)."""
        return self.answers.square().mean(0).sqrt().clamp_min(1e-12)

    def learn(self, lessons: int, rng: np.random.Generator) -> None:
        """Takes so many steps on what it was told."""
        optimizer = torch.optim.Adam(self.network.parameters(), lr=RATE)
        targets = self.answers / self.spread()
        for lesson in range(lessons):
            batch = torch.as_tensor(rng.integers(len(targets), size=16))
            loss = (self.guess(self.questions[batch]) - targets[batch]).square().mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
            optimizer.param_groups[0]["lr"] = RATE * (1 - lesson / lessons)
            optimizer.step()

    def proposal(self, steps: int) -> Tensor:
        """The change that the network expects most of, (z, x, y)."""
        best = self.answers.argmax(0)[self.parts.of_slice.clamp_min(0)]
        now = self.questions[best, torch.arange(len(best), device=best.device)].clone()
        for _ in range(steps):
            now.requires_grad_()
            (gradient,) = torch.autograd.grad(self.guess(now[None]).sum(), now)
            now = (now.detach() + 0.5 * gradient.sign()).clamp(-1, 1)
        return now.detach()
