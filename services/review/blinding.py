"""Which cases are read before the model speaks."""

from mri_guard.determinism import generator
from mri_guard.records import Outcome


def blinded(study_digest: str, outcome: Outcome, share: float, seed: int) -> bool:
    """Whether the readers of a case record a first impression before the model speaks.

    Drawn for a whole study: its other series and revisions show the same head. Of two shares, the
    larger one takes all studies of the smaller one and more. What is released waits for no reader,
    so that nobody could ever lift its blind.

    Args:
        study_digest: keyed, so that a sender cannot choose.
        outcome: of the examination; review and quarantine alike, or being blinded would tell them
            apart.
        share: of studies, in [0, 1].
        seed: of the draw.
    """
    return (
        outcome is not Outcome.RELEASE and generator(seed, "blind", study_digest).random() < share
    )
