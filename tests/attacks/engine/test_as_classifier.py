import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mri_guard.attacks import Direction, Victim
from mri_guard.attacks.engine import AsClassifier
from tests.attacks.victims import IMAGE, MASK, linear, two_halves, victim


def curved(x: Tensor) -> Tensor:
    return (x - 0.5).square()[MASK].mean()[None]


@pytest.mark.parametrize("direction", ["evade", "alarm"])
def test_says_the_score_above_and_below_the_threshold(direction: Direction) -> None:
    attacked = Victim(IMAGE, MASK, curved, direction, threshold=0.1, scale=0.02)
    model = AsClassifier(attacked, room=0.1)
    past = (float(curved(IMAGE)) - 0.1) / 0.02
    logits = model(model.boxed(IMAGE).repeat(2, 1, 1, 1))
    torch.testing.assert_close(logits, torch.tensor([[-past, past]] * 2))


def test_takes_the_clean_image_for_what_the_attack_wants_changed() -> None:
    assert AsClassifier(victim(curved, "evade"), 0.1).label.tolist() == [1]
    assert AsClassifier(victim(curved, "alarm"), 0.1).label.tolist() == [0]


def test_keeps_the_image_in_the_box_with_room_for_its_change() -> None:
    model = AsClassifier(victim(curved), room=0.1)
    boxed = model.boxed(IMAGE)
    assert boxed.shape == (1, 1, 32, 16)
    step = model.epsilon(0.1)
    assert boxed.min() - step == pytest.approx(0, abs=1e-6)
    assert boxed.max() + step == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(model.image(boxed + step)[MASK], IMAGE[MASK] + 0.1)


def test_puts_back_what_lies_outside_the_mask() -> None:
    model = AsClassifier(victim(curved), room=0.1)
    assert torch.equal(model.image(torch.rand(1, 32, 16))[~MASK], IMAGE[~MASK])


def test_refuses_several_scores() -> None:
    with pytest.raises(ValueError, match="2 scores"):
        AsClassifier(two_halves(), room=0.1)


def test_has_no_gradient_left_where_the_scale_is_far_too_small() -> None:
    attacked, _ = linear("alarm")
    threshold = float(attacked.scores(IMAGE)) + 1
    for scale, vanishes in ((1.0, False), (0.002, True)):
        one = Victim(IMAGE, MASK, attacked.scores, "alarm", threshold, scale)
        model = AsClassifier(one, room=0.1)
        boxed = model.boxed(IMAGE).requires_grad_()
        loss = functional.cross_entropy(model(boxed), model.label)
        (gradient,) = torch.autograd.grad(loss, boxed)
        assert bool(gradient.any()) is not vanishes
