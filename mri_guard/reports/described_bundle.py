"""A bundle on disk as a report describes it."""

from pathlib import Path

from mri_guard import bundle
from mri_guard.reports.document import Bundle


def described(folder: Path) -> Bundle:
    """What the bundle says of itself, every file checked against its digest.

    Raises:
        BundleError: a file is missing, is not the one the bundle was made with, or does not fit.
    """
    config, card, digest = bundle.card(folder)
    return Bundle(
        name=config.name,
        version=config.version,
        digest=digest,
        contrasts=tuple(contrast.value for contrast in config.contrasts),
        seed=config.seed,
        card=card_sections(card),
    )


def card_sections(card: str) -> dict[str, str]:
    """Sections of a model card by heading; what stands before the first is left."""
    _, *sections = ("\n" + card).split("\n## ")
    parted = (section.partition("\n") for section in sections)
    return {heading.strip(): text.strip() for heading, _, text in parted}
