import pytest
import torch

from mri_guard.attacks.engine import Linf, Search
from mri_guard.attacks.physics import image_gradient, promise, seek
from mri_guard.determinism import generator
from tests.attacks.victims import linear, two_halves


def test_promises_exactly_what_a_linear_score_gains() -> None:
    victim, weights = linear()
    search, ball = Search(victim), Linf(victim, 0.1)
    gain, best = promise(ball, image_gradient(search))
    assert gain == pytest.approx(0.1 * float(victim.wide(weights).abs().sum()), rel=1e-5)
    assert float(search.look(ball.image(best)) - search.clean) == pytest.approx(gain, rel=1e-3)


def test_looks_at_all_and_climbs_from_the_best() -> None:
    victim = two_halves()
    ball = Linf(victim, 0.1)
    drawn = [ball.draw(generator(i, "seek")) for i in range(5)]
    totals = [float(victim.margins(ball.image(one)).sum()) for one in drawn]
    search = Search(victim)
    seek(search, [(ball, one) for one in drawn], starts=1, steps=1, step_size=0.0)
    assert search.history[1:6] == pytest.approx(totals)
    assert search.history[6:] == pytest.approx([max(totals)] * 2)


def test_comes_no_less_far_than_any_candidate() -> None:
    victim = two_halves("evade")
    ball = Linf(victim, 0.1)
    drawn = [ball.draw(generator(i, "seek")) for i in range(5)]
    search = Search(victim)
    seek(search, [(ball, one) for one in drawn], starts=2, steps=3)
    found = search.found()
    for one in drawn:
        assert (found.margins >= victim.margins(ball.image(one))).all()
    assert torch.isfinite(found.margins).all()
