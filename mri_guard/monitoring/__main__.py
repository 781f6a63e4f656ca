"""Simulates the limits that ship anew: `python -m mri_guard.monitoring [--out FILE] [--seed N]`."""

import argparse
from pathlib import Path

from mri_guard.monitoring.limits import SHIPPED, simulate

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--out", type=Path, default=SHIPPED)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
options.out.write_text(simulate(options.seed).model_dump_json(indent=1) + "\n")
