import torch

from mri_guard.attacks.engine.through import averaged, straight_through


def test_goes_through_rounding_with_the_gradient_of_the_identity() -> None:
    x = torch.tensor([0.2, 0.7, 1.4], requires_grad=True)
    y = straight_through(torch.round)(x)
    assert y.tolist() == [0.0, 1.0, 1.0]
    (gradient,) = torch.autograd.grad((y * torch.tensor([1.0, 2.0, 3.0])).sum(), x)
    assert gradient.tolist() == [1.0, 2.0, 3.0]


def test_takes_the_gradient_of_what_is_like_it() -> None:
    x = torch.tensor([0.3], requires_grad=True)
    y = straight_through(torch.sign, torch.tanh)(x)
    assert y.tolist() == [1.0]
    (gradient,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(gradient, 1 - torch.tanh(x.detach()) ** 2)


def test_averages_what_is_random() -> None:
    draws = iter([1.0, 2.0, 6.0])
    mean = averaged(lambda x: x * next(draws), 3)
    torch.testing.assert_close(mean(torch.ones(1)), torch.tensor([3.0]))
