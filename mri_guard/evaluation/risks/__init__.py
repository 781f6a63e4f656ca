"""Other risks of a generative model, each a check with a number.

Posterior collapse, memorisation and membership inference, copying of lesions, and whether the
anomaly map depends on what the network has learnt.
"""

from mri_guard.evaluation.risks.command import SALIENCY_SCANS, evaluate_risks, table

__all__ = ["SALIENCY_SCANS", "evaluate_risks", "table"]
