"""Slices and goals that belong together, so that one look tries something in each of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from mri_guard.attacks.engine.search import Search


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Parts of a stack; what is changed in one is judged by its own goals.

    A scan's slices each have a score, and a look tells all of them at once: an attacker who knows
    which score listens to which slice learns from one look as much as from one look a slice.

    Attributes:
        of_slice: int64, (z,), the part of each slice; -1 where no change counts.
        of_goal: int64, (k,), the part of each goal.
    """

    of_slice: Tensor
    of_goal: Tensor

    @classmethod
    def whole(cls, search: Search) -> "Parts":
        """All slices that may change and all goals as one part."""
        free = search.victim.mask.flatten(1).any(1)
        return cls(torch.where(free, 0, -1), torch.zeros_like(search.clean, dtype=torch.long))

    @classmethod
    def found(cls, search: Search, change: Tensor, budget: int) -> "Parts":
        """Parts as the scores tell them, by changing one slice at a time.

        Each goal goes with the slice that moves it most, and each other slice with the goal that it
        moves most. Where that would take more looks than the budget, and with one goal or one
        slice, all is one part and nothing is asked.

        Args:
            search: looks, one for each slice that may change.
            change: like the image, within what is allowed.
            budget: of looks.
        """
        victim, whole = search.victim, cls.whole(search)
        slices = torch.nonzero(whole.of_slice == 0)[:, 0].tolist()
        if len(search.clean) == 1 or len(slices) == 1 or len(slices) > budget:
            return whole
        moved = torch.zeros(len(whole.of_slice), len(search.clean)).to(search.clean)
        for at in slices:
            image = victim.image.clone()
            image[at] += change[at]
            moved[at] = (search.look(image) - search.clean).abs()
        home = moved.argmax(0)
        own, of_goal = torch.unique(home, return_inverse=True)
        of_slice = of_goal[moved.argmax(1)]
        of_slice[own] = torch.arange(len(own), device=own.device)
        of_slice[moved.sum(1) == 0] = -1
        return cls(of_slice, of_goal)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.of_goal.max()) + 1

    def values(self, margins: Tensor) -> Tensor:
        """Sum of each part's margins, (p,), of margins (k,)."""
        return margins.new_zeros(self.count).index_add(0, self.of_goal, margins)

    def spread(self, values: Tensor) -> Tensor:
        """Each slice's part's value, (z, 1, 1, 1), of values (p,); 0 where no change counts."""
        each = torch.where(self.of_slice < 0, 0, values[self.of_slice.clamp_min(0)])
        return each[:, None, None, None]
