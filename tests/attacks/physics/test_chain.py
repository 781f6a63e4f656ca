import torch

from mri_guard.attacks.physics import Chain, Pose, SmoothField, Warping
from mri_guard.determinism import generator
from tests.attacks.physics.heads import head, victim


def test_applies_its_parts_in_turn_with_their_own_parameters() -> None:
    parts = (Pose(victim(), 0.5), Warping.of(victim(), 0.5), SmoothField.of(victim(), 0.5))
    drawn = [part.draw(generator(0, i)) for i, part in enumerate(parts)]
    chain = Chain(victim(), 0.5, parts)
    expected = head()[0]
    for part, own in zip(parts, drawn, strict=True):
        expected = part.apply(expected, own)
    joined = chain.join(drawn)
    assert joined.shape == chain.shape
    assert torch.equal(chain.apply(head()[0], joined), expected)
    assert all(torch.equal(a, b) for a, b in zip(chain.split(joined), drawn, strict=True))
