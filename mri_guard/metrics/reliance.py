"""How far readers rely on the model, and what it is worth that they look first.

A reader who agrees with the model may have seen the same, or have followed it: readers of
mammograms did worse, experienced ones too, where a system that they took for AI was wrong (Dratsch
et al. 2023, Radiology 307(4), e222176). Two things tell them apart. Where the first impression was
recorded before the model spoke, the share that switches towards its advice is the weight of that
advice (Yaniv and Kleinberger 2000, Organizational Behavior and Human Decision Processes 83(2),
260: (final - first) / (advice - first) is 0 or 1 for a finding that is there or not). And where the
truth is known, following is right or wrong (Schemmer et al. 2023, arXiv:2302.02187, section 3).

Intervals are over cases of these readers: they say nothing of other readers.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import stats

from mri_guard.metrics.proportion import clopper_pearson, difference
from mri_guard.records import Finite, Record

MINIMUM = 20
"""With fewer reads nothing is said: an exact interval of a share could be wider than 0.46."""


class Read(Record):
    """One case that a reader decided, and what the model had advised; True is abnormal.

    Attributes:
        reader: who decided it.
        blinded: whether the model's advice was withheld until the first impression.
        advice: the model's.
        first: first impression; None where there was none, or it was neither of the two.
        sure: whether the first impression was given with high confidence.
        final: finding.
        seconds: from the reader's last claim of the case to the final finding.
        truth: adjudicated; None where it is not.
    """

    reader: str
    blinded: bool
    advice: bool
    first: bool | None = None
    sure: bool = False
    final: bool
    seconds: Annotated[Finite, Field(ge=0)]
    truth: bool | None = None


class Figure(Record):
    """One figure; without a value where there were too few reads.

    Attributes:
        value: on the reads.
        low: lower end of its 95 % interval.
        high: upper end.
        n: reads it is taken of; of a difference, of the smaller group.
        definition: how it is computed, in words.
    """

    value: Finite | None = None
    low: Finite | None = None
    high: Finite | None = None
    n: int
    definition: str

    @property
    def words(self) -> str:
        """For people."""
        if self.value is None:
            return f"cannot tell (n = {self.n}, would need {MINIMUM})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n = {self.n}"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of reads.

    Attributes:
        among: whether a read counts.
        hit: whether one that counts is hit.
        definition: in words, after "share of".
    """

    among: Callable[[Read], bool]
    hit: Callable[[Read], bool]
    definition: str

    def counted(self, reads: Sequence[Read]) -> tuple[int, int]:
        """How many are hit, and of how many."""
        among = [self.hit(read) for read in reads if self.among(read)]
        return sum(among), len(among)


RATES: Mapping[str, Rate] = {
    "agreement_rate": Rate(
        lambda _: True,
        lambda read: read.final == read.advice,
        "reads whose final finding is the model's advice",
    ),
    "override_rate": Rate(
        lambda _: True,
        lambda read: read.final != read.advice,
        "reads whose final finding is not the model's advice",
    ),
    "over_reliance_rate": Rate(
        lambda read: read.truth is not None and read.advice != read.truth,
        lambda read: read.final == read.advice,
        "reads that followed the model, among those where it was wrong by the adjudicated truth",
    ),
    "under_reliance_rate": Rate(
        lambda read: read.truth is not None and read.advice == read.truth,
        lambda read: read.final != read.advice,
        "reads that overrode the model, among those where it was right by the adjudicated truth",
    ),
}
"""Of all reads, of blinded ones (`_blinded`) and of the others (`_unblinded`)."""

FIRST_LOOK_RATES: Mapping[str, Rate] = {
    "first_agreement_rate": Rate(
        lambda read: read.first is not None,
        lambda read: read.first == read.advice,
        "first impressions that are the model's advice, given before it was shown",
    ),
    "switch_towards_rate": Rate(
        lambda read: read.first is not None and read.first != read.advice,
        lambda read: read.final == read.advice,
        "reads that ended with the model's advice, among those whose first impression was not it "
        "(switch fraction)",
    ),
    "switch_towards_rate_when_sure": Rate(
        lambda read: read.first is not None and read.first != read.advice and read.sure,
        lambda read: read.final == read.advice,
        "reads that ended with the model's advice, among those whose first impression, given with "
        "high confidence, was not it",
    ),
    "switch_away_rate": Rate(
        lambda read: read.first is not None and read.first == read.advice,
        lambda read: read.final != read.advice,
        "reads that ended against the model's advice, among those whose first impression was it",
    ),
    "relative_ai_reliance": Rate(
        lambda read: (
            read.truth is not None
            and read.first is not None
            and read.first != read.truth
            and read.advice == read.truth
        ),
        lambda read: read.final == read.truth,
        "reads that ended right, among those whose first impression was wrong and the model right",
    ),
    "relative_self_reliance": Rate(
        lambda read: (
            read.truth is not None and read.first == read.truth and read.advice != read.truth
        ),
        lambda read: read.final == read.truth,
        "reads that ended right, among those whose first impression was right and the model wrong",
    ),
}
"""Of blinded reads with a first impression."""

COMPARED = ("agreement_rate", "over_reliance_rate", "under_reliance_rate")
"""Also as the rate of unblinded reads less that of blinded ones (`_shown_less_blinded`)."""


def figures(reads: Sequence[Read]) -> dict[str, Figure]:
    """Every figure by name, those included for which there are too few reads.

    Shares have exact intervals (Clopper-Pearson), medians of the time too (of the binomial order
    statistics), differences of shares those of `proportion.difference`.

    Args:
        reads: independent of each other, so of one study at most one.
    """
    groups = {
        "": reads,
        "_blinded": [read for read in reads if read.blinded],
        "_unblinded": [read for read in reads if not read.blinded],
    }
    found = {
        name + group: _share(rate, own)
        for name, rate in RATES.items()
        for group, own in groups.items()
    }
    found |= {name: _share(rate, groups["_blinded"]) for name, rate in FIRST_LOOK_RATES.items()}
    found |= {
        f"{name}_shown_less_blinded": _difference(
            RATES[name], groups["_unblinded"], groups["_blinded"]
        )
        for name in COMPARED
    }
    return found | {
        f"decision_seconds{group}": _median_seconds(own) for group, own in groups.items() if group
    }


def by_reader(reads: Sequence[Read]) -> dict[str, dict[str, Figure]]:
    """The same figures of each reader's own reads."""
    return {
        reader: figures([read for read in reads if read.reader == reader])
        for reader in sorted({read.reader for read in reads})
    }


def _share(rate: Rate, reads: Sequence[Read]) -> Figure:
    count, n = rate.counted(reads)
    definition = f"share of {rate.definition}"
    if n < MINIMUM:
        return Figure(n=n, definition=definition)
    low, high = clopper_pearson(count, n)
    return Figure(value=count / n, low=low, high=high, n=n, definition=definition)


def _difference(rate: Rate, unblinded: Sequence[Read], blinded: Sequence[Read]) -> Figure:
    shown, first_look = rate.counted(unblinded), rate.counted(blinded)
    n = min(shown[1], first_look[1])
    definition = f"share of {rate.definition}: of unblinded reads, less that of blinded ones"
    if n < MINIMUM:
        return Figure(n=n, definition=definition)
    low, high = difference(shown, first_look)
    value = shown[0] / shown[1] - first_look[0] / first_look[1]
    return Figure(value=value, low=low, high=high, n=n, definition=definition)


def _median_seconds(reads: Sequence[Read]) -> Figure:
    seconds = [read.seconds for read in reads]
    definition = "median seconds from the reader's last claim of a case to its final finding"
    if len(seconds) < MINIMUM:
        return Figure(n=len(seconds), definition=definition)
    ends = stats.quantile_test(seconds, p=0.5).confidence_interval(0.95)
    return Figure(
        value=float(np.median(seconds)),
        low=float(ends.low),
        high=float(ends.high),
        n=len(seconds),
        definition=definition,
    )
