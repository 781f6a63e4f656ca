"""Which labels do not go with their scans? Asked before labelled scans are learnt from.

A scan that is called healthy is held against scans known to be healthy, one that is called abnormal
against scans known to be abnormal: its conformal p-value is small where it scores like the other
kind. Labels are flagged so that the share of right ones among them is held on average (Benjamini
and Hochberg 1995, Journal of the Royal Statistical Society B 57, 289; conformal p-values from the
same known scans allow it, being positively dependent: Bates et al. 2023, arXiv:2104.08279, section
2). A sender whose labels are unusual oftener than everybody else's is named too, though none of
them be flagged.

Nothing here knows where labels come from: a service that keeps feedback calls `screen` with scores
and labels before a bundle is made of them. Confident learning (Northcutt, Jiang and Chuang 2021,
arXiv:1911.00068) finds more and states no error; `benchmarks/label_consistency.py` sets it beside.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import stats

from mri_guard.errors import NotCalibratedError
from mri_guard.metrics.conformal import p_value
from mri_guard.metrics.proportion import clopper_pearson
from mri_guard.records import Finite, PValue, Record, Share

Label = Literal["healthy", "abnormal"]

FALSE_SHARE = 0.1
"""Share of right labels among the flagged ones, on average; where all labels are right, the
probability that any is flagged. A larger one finds more, for who has the time to look again."""
UNUSUAL = 0.05
"""Up to this p-value a label counts against its sender."""
SENDERS_ALPHA = 0.05
"""Probability of naming any sender where all are alike."""


class Labelled(Record):
    """A scan's score and what somebody says it is.

    Attributes:
        label: `healthy` or `abnormal`.
        score: of the deployed model; rises with abnormality.
        sender: who says so, e.g. a reader's pseudonym; empty where nobody is named.
    """

    label: Label
    score: Finite
    sender: str = ""


class Known(Record):
    """Scores of scans whose labels are beyond doubt, and which the model has not learnt from.

    Attributes:
        healthy: of healthy scans.
        abnormal: of abnormal ones. Labels of a kind without any are not screened.
    """

    healthy: tuple[Finite, ...] = ()
    abnormal: tuple[Finite, ...] = ()


class Judged(Record):
    """One label.

    Attributes:
        p_value: that the label is right; None where no scan of its kind is known.
        flagged: whether somebody should look again.
    """

    p_value: PValue | None
    flagged: bool


class SenderRate(Record):
    """How often one sender's labels are unusual.

    Attributes:
        sender: who.
        unusual: labels up to `UNUSUAL`.
        n: labels that were screened.
        low: of the exact 95 % interval of their share.
        high: likewise.
        others: the same share among everybody else's labels; None without any.
        p_value: that the sender's are unusual no oftener than others' of the same kind, adjusted
            for all senders (Holm 1979, Scandinavian Journal of Statistics 6, 65); None without
            others.
        flagged: whether it is at most `SENDERS_ALPHA`.
    """

    sender: str
    unusual: int = Field(ge=0)
    n: int = Field(ge=1)
    low: Share
    high: Share
    others: Share | None
    p_value: PValue | None
    flagged: bool


class Screened(Record):
    """What a screen says of the labels.

    Attributes:
        labels: in the order that they were given.
        senders: those with a screened label, by name.
        unscreened: labels of a kind that no scan is known of.
        fewest: labels that must be doubtful at once for any to be flagged: so many known scans can
            tell no fewer; None where nothing was screened.
        guarantee: what the flags claim, in words.
    """

    labels: tuple[Judged, ...]
    senders: tuple[SenderRate, ...]
    unscreened: int
    fewest: int | None
    guarantee: str

    @property
    def clean(self) -> bool:
        """Whether every label was screened, and neither one nor a sender flagged."""
        return not (
            self.unscreened
            or any(label.flagged for label in self.labels)
            or any(sender.flagged for sender in self.senders)
        )


def screen(
    labelled: Sequence[Labelled], known: Known, false_share: float = FALSE_SHARE
) -> Screened:
    """Flags labels, and senders.

    Both claims are for scans independent of one another, one of each person. That of the labels
    wants right labels to be of scans exchangeable with the known ones of their kind: at another
    scanner all of them may be flagged. That of the senders does not; it wants senders who see the
    same kind of patients.

    Args:
        labelled: scores and labels.
        known: what they are held against.
        false_share: of right labels among the flagged ones, on average over such screens.

    Raises:
        NotCalibratedError: no scan is known of either kind.
        ValueError: the share is not between 0 and 1, or there are no labels.
    """
    if not labelled or not 0 < false_share < 1:
        raise ValueError(
            f"{len(labelled)} labels, share of right ones {false_share}; wanted at least one label "
            "and a share between 0 and 1"
        )
    if not known.healthy and not known.abnormal:
        raise NotCalibratedError("no scores of scans known to be healthy or abnormal")
    # Right labels of scans that score like the other kind have small p-values: P(p <= a) <= a.
    against = {"healthy": known.healthy, "abnormal": tuple(-score for score in known.abnormal)}
    p_values = [
        p_value(one.score if one.label == "healthy" else -one.score, against[one.label])
        if against[one.label]
        else None
        for one in labelled
    ]
    screened = {place: p for place, p in enumerate(p_values) if p is not None}
    most = max((len(against[labelled[place].label]) for place in screened), default=0)
    flagged: set[int] = set()
    if screened:
        adjusted = stats.false_discovery_control(list(screened.values()))
        flagged = {
            place for place, p in zip(screened, adjusted, strict=True) if p <= false_share + 1e-12
        }
    return Screened(
        labels=tuple(
            Judged(p_value=p, flagged=place in flagged) for place, p in enumerate(p_values)
        ),
        senders=_senders(
            [labelled[place] for place in screened],
            np.array([p <= UNUSUAL for p in screened.values()], dtype=np.bool_),
        ),
        unscreened=len(labelled) - len(screened),
        fewest=math.ceil(len(screened) / (false_share * (most + 1)) - 1e-9) if screened else None,
        guarantee=(
            f"at most {false_share:g} of the flagged labels right, on average, for scans "
            "exchangeable with the known ones and independent of one another: healthy n = "
            f"{len(known.healthy)}, abnormal n = {len(known.abnormal)}; any sender flagged with "
            f"probability {SENDERS_ALPHA:g} at most, where all see the same kind of patients"
        ),
    )


def _senders(labelled: Sequence[Labelled], unusual: NDArray[np.bool_]) -> tuple[SenderRate, ...]:
    """Each sender's rate, held against everybody else's.

    Args:
        labelled: those that were screened.
        unusual: bool, (n,), which of them are.
    """
    senders = np.array([one.sender for one in labelled])
    kinds = np.array([one.label for one in labelled])
    names = sorted(set(senders.tolist()))
    if not names:
        return ()
    raw = [oftener(unusual, senders == name, kinds) for name in names]
    adjusted = holm(raw) if len(names) > 1 else [None]
    rates = []
    for name, p in zip(names, adjusted, strict=True):
        own = senders == name
        count, n = int(unusual[own].sum()), int(own.sum())
        low, high = clopper_pearson(count, n)
        rates.append(
            SenderRate(
                sender=name,
                unusual=count,
                n=n,
                low=low,
                high=high,
                others=None if p is None else float(unusual[~own].mean()),
                p_value=p,
                flagged=p is not None and p <= SENDERS_ALPHA,
            )
        )
    return tuple(rates)


def oftener(hit: NDArray[np.bool_], own: NDArray[np.bool_], strata: NDArray[np.str_]) -> float:
    """p-value that one's own are hit no oftener than the others, stratum by stratum.

    Fisher's exact test, one-sided, over several tables at once: given how many are hit in each
    stratum, who of it is hit is as good as drawn (Mehta, Patel and Gray 1985, Journal of the
    American Statistical Association 80, 969).

    Args:
        hit: bool, (n,).
        own: bool, (n,).
        strata: (n,), within which own and others are alike.
    """
    chances = np.ones(1)
    for stratum in np.unique(strata):
        here = strata == stratum
        mine, all_, hits = (int(which.sum()) for which in (own & here, here, hit & here))
        chances = np.convolve(chances, stats.hypergeom.pmf(np.arange(mine + 1), all_, hits, mine))
    as_many = float(chances[int((hit & own).sum()) :].sum())
    return min(1.0, max(as_many, float(np.finfo(np.float64).tiny)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: the probability of any at most a is at most a where all are true (Holm
    1979, Scandinavian Journal of Statistics 6, 65).
    """
    order = np.argsort(p_values, kind="stable")
    times = np.arange(len(p_values), 0, -1)
    rising = np.maximum.accumulate(np.asarray(p_values, np.float64)[order] * times)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(rising, 1.0)
    return adjusted.tolist()
