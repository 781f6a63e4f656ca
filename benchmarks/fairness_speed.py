"""How long every figure of every group takes, beside a plain loop over resamples.

    python benchmarks/fairness_speed.py

60 overlapping groups of 2,000 people, 2,000 resamples: three AUROCs, sensitivity and false-positive
rate, each with its interval. The peer is a loop in which fairlearn's `MetricFrame` takes AUROC and
both rates of 60 groups that do not overlap; it is timed on a few resamples, in the same run, and
told for all.
"""

import argparse
import time

import numpy as np
import pandas as pd
from fairlearn.metrics import MetricFrame, false_positive_rate, true_positive_rate
from sklearn.metrics import roc_auc_score

from mri_guard.determinism import generator
from mri_guard.fairness import Cohort, Groups, group_figures
from mri_guard.metrics.bootstrap import patient_counts


def main() -> None:
    """Prints both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--groups", type=int, default=60)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--peer-draws", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = generator(options.seed, "fairness speed")
    n = options.n
    truth = rng.random(n) < 0.5
    scores = rng.standard_normal(n) + truth
    cohort = Cohort(scores, truth, scores > 0.5, np.arange(n), n)
    names = tuple(f"group={one}" for one in range(options.groups))
    counts = patient_counts(n, rng, options.draws)
    ours = {}
    for share in (0.1, 0.5):
        groups = Groups(names, rng.random((options.groups, n)) < share)
        start, cpu = time.perf_counter(), time.process_time()
        group_figures(cohort, groups, counts)
        ours[share] = time.process_time() - cpu
        print(
            f"ours, groups of {share:.0%}: {time.perf_counter() - start:.2f} s, "
            f"{ours[share]:.2f} s of processor time"
        )
    own = np.arange(n) % options.groups
    start = time.process_time()
    for count in counts[: options.peer_draws]:
        drawn = np.repeat(np.arange(n), count)
        people = pd.DataFrame({"group": own[drawn]})
        for metrics, said in (
            ({"tpr": true_positive_rate, "fpr": false_positive_rate}, cohort.above),
            ({"auroc": roc_auc_score}, scores),
        ):
            frame = MetricFrame(
                metrics=metrics,
                y_true=truth[drawn],
                y_pred=said[drawn],
                sensitive_features=people,
            )
            assert len(frame.by_group) == options.groups
    peer = (time.process_time() - start) / options.peer_draws * options.draws
    print(f"MetricFrame in a loop: {peer:.0f} s of processor time, {peer / ours[0.5]:.0f} times")


if __name__ == "__main__":
    main()
