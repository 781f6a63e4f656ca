from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from mri_guard.anomaly import Vae, VaeConfig
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError, UnfitModelError
from mri_guard.preprocess import Preprocess
from mri_guard.training import train as module
from mri_guard.training.adversary import Adversary
from mri_guard.training.batches import Groups
from mri_guard.training.config import TrainConfig, large, volume
from mri_guard.training.data import subject_of
from mri_guard.training.train import CHECKPOINT, TrainedModel, fit, steered
from tests.toys import TINY, TINY_VOLUME, toy_brain, with_lesion

CONFIG = TrainConfig(
    vae=TINY,
    target_nats=None,
    steps=120,
    batch=8,
    crop_px=32,
    learning_rate=5e-3,
    warm_up_steps=10,
    check_every=20,
    held_out_windows=24,
)
VOLUME = CONFIG.model_copy(update={"vae": TINY_VOLUME, "batch": 3, "steps": 100})
SHORT = CONFIG.model_copy(update={"steps": 6, "check_every": 2, "held_out_windows": 8})


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Two threads beside a busy one are many times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def groups(split: str, count: int = 6, vae: VaeConfig = TINY) -> Groups:
    rng = generator(0, "toys", split)
    return [[subject_of(toy_brain(rng), None, vae) for _ in range(count)]]


def run(out: Path, config: TrainConfig = CONFIG, seed: int = 0) -> TrainedModel:
    out.mkdir(parents=True, exist_ok=True)
    learn, hold_out = (groups(split, vae=config.vae) for split in ("learn", "hold out"))
    return fit(learn, hold_out, out=out, config=config, seed=seed)


@pytest.fixture(scope="module", params=[CONFIG, VOLUME], ids=["2-D", "3-D"])
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, one_thread: None
) -> TrainedModel:
    return run(tmp_path_factory.mktemp("train"), request.param)


def test_finds_a_lesion_it_was_never_shown(trained: TrainedModel) -> None:
    scorer = trained.scorer()
    healthy = toy_brain(generator(0, "unseen"))
    lesioned, lesion = with_lesion(healthy)
    before, after = scorer(healthy), scorer(lesioned)
    assert after.score > 1.5 * before.score
    assert after.map[lesion].mean() > 3 * after.map[healthy.brain & ~lesion].mean()
    assert not after.map[~healthy.brain].any()


def test_reports_what_a_model_card_needs(trained: TrainedModel) -> None:
    report = trained.report
    assert report["fitness"]["held_out_ap"] > report["atlas_held_out_ap"]
    assert report["learnt_from"]["scans"] == 6
    assert [entry["step"] for entry in report["history"]][:5] == [20, 40, 60, 80, 100]
    best = max(report["history"], key=lambda entry: entry["held_out_ap"])
    assert report["chosen_step"] == best["step"]


def interrupted_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> Callable[[], None]:
    """Makes the training step raise what Ctrl-C raises; returns the cure."""
    original = module.train_step

    def step(*args: object, **kwargs: Any) -> object:
        if kwargs["progress"].step == steps:
            raise KeyboardInterrupt
        return original(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train_step", step)
    return lambda: monkeypatch.setattr(module, "train_step", original)


def same(one: TrainedModel, other: TrainedModel) -> bool:
    pairs = [(one.state, other.state), (one.statistics, other.statistics)]
    return all(torch.equal(a[key], b[key]) for a, b in pairs for key in a)


@pytest.fixture
def no_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "refuse_unfit", lambda *_: None)


@pytest.mark.usefixtures("no_guards")
def test_gives_the_same_weights_for_the_same_seed_and_others_for_another(tmp_path: Path) -> None:
    one, again = run(tmp_path / "one", SHORT), run(tmp_path / "again", SHORT)
    assert same(one, again)
    assert not same(one, run(tmp_path / "other", SHORT, seed=1))


@pytest.mark.usefixtures("no_guards")
@pytest.mark.parametrize("adversary", [None, Adversary()], ids=["alone", "against an adversary"])
def test_goes_on_after_an_interruption_to_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adversary: Adversary | None
) -> None:
    config = SHORT.model_copy(update={"adversary": adversary})
    whole = run(tmp_path / "whole", config)
    cure = interrupted_after(monkeypatch, 3)  # between two checks
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", config)
    cure()
    resumed = run(tmp_path / "parts", config)
    assert same(whole, resumed)
    assert whole.report["history"] == resumed.report["history"]


@pytest.mark.usefixtures("no_guards")
def test_refuses_to_go_on_with_another_run(tmp_path: Path) -> None:
    run(tmp_path, SHORT)
    with pytest.raises(SettingsError, match="another seed"):
        run(tmp_path, SHORT, seed=1)


@pytest.mark.usefixtures("no_guards")
def test_measures_trained_weights_anew_where_only_the_scoring_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fusion = TINY.fusion.model_copy(update={"restoration": 3.0, "own_share": 0.5})
    vae = TINY.model_copy(update={"fusion": fusion, "slice_top_share": 0.2, "top_share": 0.1})
    one = run(tmp_path, SHORT)
    interrupted_after(monkeypatch, 0)  # no further step is taken
    again = run(tmp_path, SHORT.model_copy(update={"vae": vae}))
    assert again.config == vae
    assert all(torch.equal(one.state[key], value) for key, value in again.state.items())
    fused = [model.statistics["fused.spread"] for model in (one, again)]
    assert not torch.equal(*fused)


def test_refuses_a_checkpoint_that_is_none(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not safetensors")
    with pytest.raises(SettingsError, match="does not read"):
        run(tmp_path, SHORT)


def test_moves_each_price_towards_its_levels_target_and_keeps_it_in_bounds() -> None:
    config = CONFIG.model_copy(update={"target_nats": (0.4, 0.02), "beta": 0.02, "pace": 0.1})
    more, less = steered([0.02, 0.02], [0.8, 0.01], config)
    assert more > 0.02 > less
    assert steered([0.02, 0.02], [0.4, 0.02], config) == pytest.approx([0.02, 0.02])
    prices = [0.02, 0.02]
    for _ in range(1000):
        prices = steered(prices, [100.0, 0.0], config)
    assert prices == pytest.approx([20.0, 0.00002])
    fixed = config.model_copy(update={"target_nats": None})
    assert steered([0.02, 0.02], [0.8, 0.01], fixed) == [0.02, 0.02]


@pytest.mark.usefixtures("no_guards")
def test_learns_from_synthetic_heads_as_from_one_more_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_groups", lambda _, split, *__, **___: list(groups(split)))
    heads = [toy_brain(generator(0, "synthetic", i)) for i in range(2)]
    preprocess = Preprocess(lambda image, head, gap_mm: head)
    short = SHORT.model_copy(update={"steps": 2})
    made = module.train([], tmp_path, short, seed=0, preprocess=preprocess, synthetic=heads)
    assert made.report["learnt_from"]["scans"] == 8
    assert made.report["synthetic_heads"] == 2
    assert made.report["healthy_statistics_from"]["scans"] == 6


@pytest.mark.usefixtures("no_guards")
def test_steers_the_rate_of_each_level_to_its_target(tmp_path: Path) -> None:
    def last(target: float) -> dict[str, float]:
        config = CONFIG.model_copy(update={"target_nats": (target, 0.05), "pace": 0.1})
        history: list[dict[str, float]] = run(tmp_path / str(target), config).report["history"]
        return history[-1]

    assert 0.2 < last(0.4)["nats_0"] < 0.8
    assert 0.02 < last(0.05)["nats_0"] < 0.1


def test_refuses_targets_for_other_levels_than_the_model_has() -> None:
    with pytest.raises(ValidationError, match="3 target rates, wanted 2"):
        TrainConfig(vae=TINY, target_nats=(0.1, 0.1, 0.1))


@pytest.mark.parametrize("base", [CONFIG, VOLUME], ids=["2-D", "3-D"])
def test_refuses_a_collapsed_model(base: TrainConfig, tmp_path: Path) -> None:
    config = base.model_copy(
        update={"beta": 1000 * CONFIG.beta, "beta_warm_up": 0.0, "free_nats": 0.0, "steps": 60}
    )
    with pytest.raises(UnfitModelError, match="posterior collapse"):
        run(tmp_path, config)


def test_refuses_a_model_that_copies_lesions(tmp_path: Path) -> None:
    """A skip at full resolution whose rate costs nothing, and no corruption to undo.

    Looked at once it has learnt: before, it blurs, and would be taken for one that restores.
    """
    skip = TINY.model.model_copy(update={"channels": (8,), "latents": (8,)})
    config = CONFIG.model_copy(
        update={
            "vae": TINY.model_copy(update={"model": skip}),
            "beta": 0.0,
            "lesion_share": 0.0,
            "noise_share": 0.0,
            "learning_rate": 1e-2,
            "steps": 250,
            "check_every": 250,
            "smallest_undone": 0.5,
        }
    )
    with pytest.raises(UnfitModelError, match="copied"):
        run(tmp_path, config)


@pytest.mark.usefixtures("no_guards")
def test_draws_ahead_in_processes_what_it_would_draw_in_turn(tmp_path: Path) -> None:
    in_turn = SHORT.model_copy(update={"mine": False})
    ahead = in_turn.model_copy(update={"workers": 2})
    assert same(run(tmp_path / "in turn", in_turn), run(tmp_path / "ahead", ahead))


def test_refuses_to_mine_what_is_drawn_ahead() -> None:
    with pytest.raises(ValidationError, match="mine wants workers = 0"):
        TrainConfig(workers=2)


@pytest.mark.usefixtures("no_guards")
@pytest.mark.parametrize("vae", [TINY, TINY_VOLUME], ids=["2-D", "3-D"])
def test_learns_about_the_same_in_half_precision(vae: VaeConfig, tmp_path: Path) -> None:
    # Few steps: a CPU that has to emulate bfloat16 takes ten times as long.
    config = SHORT.model_copy(update={"vae": vae, "steps": 2})
    whole = run(tmp_path / "whole", config).report["history"][-1]["loss"]
    half = run(tmp_path / "half", config.model_copy(update={"bf16": True})).report["history"]
    assert half[-1]["loss"] == pytest.approx(whole, rel=0.1)


@pytest.mark.parametrize("config", [large(), volume()], ids=["large", "volume"])
def test_has_configurations_for_a_gpu_that_can_be_built(config: TrainConfig) -> None:
    parameters = sum(part.numel() for part in Vae(config.vae.model).parameters())
    assert 3e6 < parameters < 3e7
    assert config.crop_px % config.vae.model.multiple == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.usefixtures("no_guards")
def test_trains_on_a_gpu_and_brings_the_model_back(tmp_path: Path) -> None:
    made = fit(
        groups("learn"),
        groups("hold out"),
        out=tmp_path,
        config=SHORT.model_copy(update={"bf16": True}),
        seed=0,
        device="cuda",
    )
    assert all(tensor.device.type == "cpu" for tensor in made.state.values())
    assert made.scorer()(toy_brain(generator(0, "unseen"))).score > 0
