from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import bundles
from mri_guard import bundle
from mri_guard.anomaly import Vae, VaeScorer
from mri_guard.bundle import PolicyConfig
from mri_guard.calibration import exact_threshold
from mri_guard.calibration.second_look import SecondLookConfig, SecondLookScores
from mri_guard.determinism import generator
from mri_guard.preprocess import Preprocess
from mri_guard.readers.manifest import read_manifest
from mri_guard.training import bundle as training_bundle
from mri_guard.training import second_look as module
from mri_guard.training.card import with_second_look
from mri_guard.training.second_look import attacked_score, second_look_scores
from tests.toys import TINY, plain_fusion, toy_brain
from tests.training.test_calibrate import _head_is_brain, _manifest

LOOK = SecondLookConfig(epsilon=4 / 255, steps=1, sigma=0.1, draws=11, radius=0.0)


@pytest.fixture(scope="module")
def scorer() -> VaeScorer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = Vae(TINY.model).state_dict()
    return VaeScorer.from_tensors(TINY, state, plain_fusion(0.1).tensors())


def test_attack_raises_the_score_and_more_with_more_to_spend(scorer: VaeScorer) -> None:
    toy = toy_brain(generator(0, "attacked"), slices=4, side=32)
    clean = scorer(toy).score
    none, some, more = (
        attacked_score(scorer, toy, epsilon, 3, generator(0, "pgd")) for epsilon in (0, 0.01, 0.05)
    )
    assert none == pytest.approx(clean, rel=1e-4)
    assert clean < some < more


def test_scores_what_is_healthy_attacked_and_under_noise(scorer: VaeScorer, tmp_path: Path) -> None:
    seen: list[None] = []
    scores = second_look_scores(
        read_manifest(_manifest(tmp_path)),
        Preprocess(_head_is_brain),
        scorer,
        LOOK,
        cache=tmp_path / "cache",
        seed=0,
        progress=lambda: seen.append(None),
    )
    # Site a has a healthy scan, so that its scan with a lesion is left out; b has none.
    for by in (scores.attacked, scores.smoothed):
        assert {group: len(each) for group, each in by.items()} == {
            "a": 1,
            "b, slices without lesion": 1,
        }
    assert scores.config == LOOK
    assert len(seen) == 3


def test_goes_on_after_the_last_scan_that_was_done(
    scorer: VaeScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    original = module.attacked_score

    def interrupted(*args: Any) -> float:
        asked.append(1)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return original(*args)

    def scores(folder: str) -> SecondLookScores:
        return second_look_scores(
            read_manifest(manifest),
            Preprocess(_head_is_brain),
            scorer,
            LOOK,
            cache=tmp_path / folder,
            seed=0,
        )

    manifest = _manifest(tmp_path)
    whole = scores("whole")
    monkeypatch.setattr(module, "attacked_score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scores("parts")
    assert scores("parts") == whole
    assert len(asked) == 3  # of two healthy parts, the first was not attacked again


def test_card_says_what_the_second_look_does_and_keeps_the_rest() -> None:
    config, _, _, card = bundle.contents(bundles.DEFAULT)
    hundred = tuple(float(i) for i in range(100))
    scores = SecondLookScores(config=LOOK, attacked={"a": hundred}, smoothed={"a": hundred})
    once = with_second_look(card, config, "9.9.9", scores)
    again = with_second_look(once, config.model_copy(update={"version": "9.9.9"}), "9.9.10", scores)
    assert f"{config.name} 9.9.10" in again
    assert again.count("## Second look") == 1
    policy = PolicyConfig()
    limit = exact_threshold(hundred, policy.alpha, policy.delta)
    assert f"up to {limit:.4f}" in again
    assert again.partition("## Voxel checks")[2] == card.partition("## Voxel checks")[2]


def test_bundle_with_a_second_look_is_else_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hundred = tuple(float(i) for i in range(100))
    scores = SecondLookScores(config=LOOK, attacked={"a": hundred}, smoothed={"a": hundred})
    monkeypatch.setattr(training_bundle, "second_look_scores", lambda *_, **__: scores)
    digest = training_bundle.with_second_look(
        bundles.DEFAULT, (), tmp_path, version="9", look=LOOK, work=tmp_path, console=Console()
    )
    before, after = bundle.contents(bundles.DEFAULT), bundle.contents(tmp_path)
    assert after[0] == before[0].model_copy(update={"version": "9"})
    assert all(torch.equal(after[1][key], before[1][key]) for key in before[1])
    assert after[2] == before[2].model_copy(update={"second_look": scores})
    with bundle.load(tmp_path) as kit:
        assert kit.bundle_digest == digest
        assert kit.second_look is not None
