import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mri_guard.anomaly import Vae
from mri_guard.errors import SettingsError
from mri_guard.training import train as module
from mri_guard.training.batches import Batch
from mri_guard.training.config import TrainConfig
from mri_guard.training.curves import EVERY, RESTORATIONS, WHITE, Curves, restorations
from mri_guard.training.train import TrainedModel, fit
from tests.toys import TINY
from tests.training.test_train import SHORT, groups, interrupted_after, same

LONGER = SHORT.model_copy(update={"steps": 3 * EVERY, "check_every": EVERY})


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def points(events: EventAccumulator, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in events.Scalars(name)]


def near(value: float) -> object:
    """The value in single precision, as events hold it."""
    return pytest.approx(value, rel=1e-6)


def batch(windows: int = 6, side: int = 16) -> Batch:
    rng = np.random.default_rng(0)
    window = torch.from_numpy(rng.random((windows, 3, side, side)).astype(np.float32))
    one = torch.ones(windows, 1, side, side)
    return Batch(window, torch.zeros(windows, 3, side, side), window[:, 1:2], one, 0 * one, ())


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    model = Vae(TINY.model)
    with Curves(tmp_path, 0) as curves:
        for step in range(1, 2 * EVERY + 1):
            curves.step(step, {"loss": 1 / step}, [0.5 * step, 2.0], [0.25], 1e-3)
        curves.check({"step": 2 * EVERY, "held_out_ap": 0.75, "undone": 0.5}, model, batch())
    events = read(tmp_path)
    assert points(events, "step/loss") == [(EVERY, near(0.1)), (2 * EVERY, near(0.05))]
    assert points(events, "level_0/nats") == [(EVERY, 5.0), (2 * EVERY, 10.0)]
    assert points(events, "level_1/nats") == [(EVERY, 2.0), (2 * EVERY, 2.0)]
    assert points(events, "level_0/price") == [(EVERY, 0.25), (2 * EVERY, 0.25)]
    assert points(events, "step/learning_rate")[0][1] == near(1e-3)
    assert points(events, "check/held_out_ap") == [(2 * EVERY, 0.75)]
    assert points(events, "check/undone") == [(2 * EVERY, 0.5)]
    (name,) = events.Tags()["images"]
    (picture,) = events.Images(name)
    assert (picture.step, picture.height, picture.width) == (2 * EVERY, 4 * 32, 4 * 32)


def test_writes_each_step_once_when_a_run_goes_on_from_an_earlier_one(tmp_path: Path) -> None:
    for done, last, value in ((0, 5, 1.0), (3, 6, 2.0)):  # interrupted at 5, saved at 3
        with Curves(tmp_path, done * EVERY) as curves:
            for step in range(done + 1, last + 1):
                curves.step(step * EVERY, {"loss": value}, [], [], 0.0)
    expected = [(step * EVERY, 1.0 if step <= 3 else 2.0) for step in range(1, 7)]
    assert points(read(tmp_path), "step/loss") == expected


def test_does_nothing_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with Curves(None, 0) as curves:
        curves.step(EVERY, {"loss": 1.0}, [], [], 0.0)
        curves.check({"step": 1}, Vae(TINY.model), batch())
    assert not list(tmp_path.iterdir())


def test_names_the_extra_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(SettingsError, match=r"mri-guard\[tensorboard\]"):
        Curves(tmp_path, 0)


def test_draws_what_is_seen_and_what_is_left_over(monkeypatch: pytest.MonkeyPatch) -> None:
    given = batch()
    model = Vae(TINY.model)
    # The restoration: all of the image, so that nothing is left over.
    monkeypatch.setattr(Vae, "forward", lambda self, window, _: (window[:, 1:2], []))
    picture = restorations(model, given)
    seen, restored, left, target = np.split(picture, 4, axis=1)
    assert len(picture) == RESTORATIONS * 32
    assert np.array_equal(seen, restored)
    assert np.array_equal(seen, target)
    assert set(np.unique(left)) == {127}
    mean = float(given.window[:RESTORATIONS, 1].mean()) / WHITE * 255
    assert seen.mean() == pytest.approx(mean, abs=2)


def run(out: Path, config: TrainConfig, tensorboard: Path | None) -> TrainedModel:
    out.mkdir(exist_ok=True)
    learn, hold_out = groups("learn", 2), groups("hold out", 2)
    return fit(learn, hold_out, out=out, config=config, seed=0, tensorboard=tensorboard)


def test_follows_a_run_through_an_interruption_without_changing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "refuse_unfit", lambda *_: None)
    events = tmp_path / "events"
    unwatched = run(tmp_path / "unwatched", LONGER, None)
    cure = interrupted_after(monkeypatch, 2 * EVERY + 3)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "watched", LONGER, events)
    cure()
    watched = run(tmp_path / "watched", LONGER, events)
    assert same(unwatched, watched)

    history = watched.report["history"]
    seen = read(events)
    for name in ("held_out_ap", "ring_ap", "mass_effect_ap", "undone", "nats_0", "loss"):
        wanted = [(entry["step"], near(entry[name])) for entry in history]
        assert points(seen, f"check/{name}") == wanted
    assert points(seen, "step/loss") == points(seen, "check/loss")
    assert [step for step, _ in points(seen, "level_1/nats")] == [EVERY, 2 * EVERY, 3 * EVERY]
