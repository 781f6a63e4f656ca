"""Are planted wrong labels found, and who is wrongly accused? Simulated scores.

    python -m benchmarks.label_consistency --draws 300

Healthy and abnormal scores are normal and so far apart that they have the AUROC stated; of so many
labels half are of each kind. Known scans: so many of each kind, 131 healthy ones being what the
shipped bundle has. First table: 5 % of the labels are turned round, drawn by chance. Found: share
of these that is flagged; wrongly accused: share of right labels among the flagged ones, 0 where
none is, which is promised to be at most 10 %, or 50 %, on average. Confident learning (Northcutt,
Jiang and Chuang 2021, arXiv:1911.00068, section 3; probabilities by logistic regression on the
known scans) promises nothing. Second table: one of five senders turns round a quarter of theirs,
which is again 5 % of all. Named: that one, and nobody else. Accused: any of five honest ones,
promised to be at most 5 %. Intervals: mean and 1.96 standard errors, Clopper-Pearson in the second
table.
"""

import argparse
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.linear_model import LogisticRegression

from mri_guard.calibration.label_consistency import Known, Labelled, screen
from mri_guard.determinism import generator
from mri_guard.metrics.proportion import clopper_pearson

AUROCS, KNOWN = (0.9, 0.95, 0.99), (131, 500, 2000)
SENDERS = 5
WRONG = 0.05
FALSE_SHARES = (0.1, 0.5)

Array = NDArray[np.float64]
Truth = NDArray[np.bool_]


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=300)
    parser.add_argument("--labels", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = [(auroc, n) for auroc in AUROCS for n in KNOWN]
    print(f"{options.draws} draws of {options.labels} labels, {WRONG:.0%} of them wrong, by chance")
    print("Found, wrongly accused")
    promised = [f"at most {share:.0%}" for share in FALSE_SHARES]
    print(f"| AUROC | known of each kind | {' | '.join(promised)} | confident learning |")
    print("|---|---|---|---|---|")
    for auroc, n in settings:
        rng = generator(options.seed, "by chance", repr(auroc), n)
        rows = []
        for _ in range(options.draws):
            scores, truth, known = simulated(auroc, options.labels, n, rng)
            wrong = rng.permutation(options.labels) < round(WRONG * options.labels)
            said = truth ^ wrong
            doubted = [flagged(scores, said, known, one) for one in FALSE_SHARES]
            doubted.append(confident(scores, said, known))
            rows.append([shares(one, wrong) for one in doubted])
        cells = [
            ", ".join(spread(column) for column in each.T) for each in np.array(rows).swapaxes(0, 1)
        ]
        print(f"| {auroc} | {n} | {' | '.join(cells)} |", flush=True)
    print(f"\nThe same labels of {SENDERS} senders, wrong by one of them")
    print("| AUROC | known of each kind | named alone | honest ones accused |")
    print("|---|---|---|---|")
    for auroc, n in settings:
        rng = generator(options.seed, "by one", repr(auroc), n)
        named = accused = 0
        for _ in range(options.draws):
            scores, truth, known = simulated(auroc, options.labels, n, rng)
            senders = np.arange(options.labels) % SENDERS
            mine = rng.permutation(np.flatnonzero(senders == 0))
            wrong = np.zeros(options.labels, dtype=np.bool_)
            wrong[mine[: round(WRONG * options.labels)]] = True
            named += set(names(scores, truth ^ wrong, senders, known)) == {"0"}
            accused += any(names(scores, truth, senders, known))
        cells = [share(count, options.draws) for count in (named, accused)]
        print(f"| {auroc} | {n} | {cells[0]} | {cells[1]} |", flush=True)


def simulated(
    auroc: float, labels: int, n: int, rng: np.random.Generator
) -> tuple[Array, Truth, Known]:
    """Scores, who is abnormal, and so many known scans of each kind."""
    apart = float(np.sqrt(2) * ndtri(auroc))
    truth = rng.permutation(labels) < labels // 2
    known = Known(
        healthy=tuple(rng.normal(size=n).tolist()),
        abnormal=tuple(rng.normal(apart, size=n).tolist()),
    )
    return rng.normal(size=labels) + apart * truth, truth, known


def labelled(scores: Array, said: Truth, senders: NDArray[np.int64]) -> list[Labelled]:
    """What the screen is asked."""
    return [
        Labelled(label="abnormal" if ill else "healthy", score=float(score), sender=str(sender))
        for score, ill, sender in zip(scores, said, senders, strict=True)
    ]


def flagged(scores: Array, said: Truth, known: Known, false_share: float) -> Truth:
    """Labels that the screen flags, bool, (n,)."""
    asked = labelled(scores, said, np.zeros(len(said), dtype=np.int64))
    screened = screen(asked, known, false_share)
    return np.array([one.flagged for one in screened.labels])


def names(scores: Array, said: Truth, senders: NDArray[np.int64], known: Known) -> Iterator[str]:
    """Senders that the screen flags."""
    screened = screen(labelled(scores, said, senders), known)
    return (one.sender for one in screened.senders if one.flagged)


def confident(scores: Array, said: Truth, known: Known) -> Truth:
    """Labels off the diagonal of the confident joint, bool, (n,)."""
    learnt = LogisticRegression().fit(
        np.array([*known.healthy, *known.abnormal])[:, None],
        np.repeat([0, 1], [len(known.healthy), len(known.abnormal)]),
    )
    chances = learnt.predict_proba(scores[:, None])
    sure = chances >= [chances[~said, 0].mean(), chances[said, 1].mean()]
    believed = np.where(sure, chances, -1.0).argmax(1)
    return np.asarray(sure.any(1) & (believed != said))


def shares(flagged: Truth, wrong: Truth) -> tuple[float, float]:
    """Of the wrong labels that are flagged, and of the flagged ones that are right."""
    return float(flagged[wrong].mean()), float((flagged & ~wrong).sum() / max(flagged.sum(), 1))


def spread(values: Array) -> str:
    """Mean and its interval."""
    mean, error = values.mean(), 1.96 * values.std() / np.sqrt(len(values))
    return f"{mean:.3f} ({mean - error:.3f} to {mean + error:.3f})"


def share(count: int, n: int) -> str:
    """A share and its exact interval."""
    low, high = clopper_pearson(count, n)
    return f"{count / n:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()
