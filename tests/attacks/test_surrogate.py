import torch

from mri_guard.attacks import Surrogate
from mri_guard.attacks.engine import Parts, Search
from mri_guard.attacks.surrogate import Pupil
from mri_guard.determinism import generator
from tests.attacks.victims import IMAGE, MASK, victim

EPSILON = 0.1


def smooth(x: torch.Tensor) -> torch.Tensor:
    """Each slice's mean distance from a middle intensity, rounded off at the middle."""
    return ((x - 0.5).square() + 0.01).sqrt().mean((1, 2, 3))


def pupil_of(attacked_scores: object, questions: int) -> tuple[Pupil, float]:
    """One taught on so many random questions, and its R2 on unseen ones."""
    attacked = victim(attacked_scores)  # type: ignore[arg-type]
    rng = generator(0, "test")
    search = Search(attacked)
    parts = Parts.found(search, EPSILON * MASK.float(), 10)
    pupil = Pupil.of(attacked, parts, 2, 12, rng)

    def answer(question: torch.Tensor) -> torch.Tensor:
        change = attacked.wide(EPSILON * pupil.wide(question))
        return parts.values(search.look(IMAGE + change) - search.clean)

    for _ in range(questions):
        question = pupil.question(rng, 1.0)
        pupil.hear(question, answer(question))
    pupil.learn(100, rng)
    unseen = torch.stack([pupil.question(rng, 1.0) for _ in range(50)])
    truth = torch.stack([answer(question) for question in unseen])
    with torch.no_grad():
        guess = pupil.guess(unseen) * pupil.spread()
    return pupil, float(1 - (guess - truth).square().sum() / (truth - truth.mean(0)).square().sum())


def test_learns_a_smooth_score_from_its_answers() -> None:
    assert pupil_of(smooth, 150)[1] > 0.9


def test_learns_nothing_of_a_score_that_is_noise() -> None:
    rng = generator(1, "test")
    noise = pupil_of(lambda x: torch.as_tensor(rng.normal(size=2)).float(), 50)[1]
    assert noise < 0.2


def test_proposes_what_is_better_than_all_that_it_asked_about() -> None:
    coarse = generator(2, "test").choice([-1.0, 1.0], (2, 1, 8, 8))
    weights = torch.as_tensor(coarse).float().repeat_interleave(2, 2).repeat_interleave(2, 3)
    attacked = victim(lambda x: (x * weights).sum((1, 2, 3)))
    found = Surrogate(rounds=1)(attacked, EPSILON, generator(0, "test"))
    gain, best = found.history[-1] - found.history[0], EPSILON * 240
    others = max(found.history[:-1]) - found.history[0]
    assert others < 0.4 * best
    assert gain > 0.6 * best
