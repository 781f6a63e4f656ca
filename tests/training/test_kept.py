from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import torch

from mri_guard.errors import SettingsError, UnfitModelError
from mri_guard.training import kept
from mri_guard.training.config import TrainConfig
from mri_guard.training.kept import MODEL, fit_once
from mri_guard.training.train import TrainedModel, fit
from tests.training.test_train import SHORT, groups, same

REFUSED = SHORT.model_copy(update={"smallest_nats": 1e3})
WAIT_SECONDS = 30


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(out: Path, config: TrainConfig = REFUSED, seed: int = 0) -> TrainedModel:
    learn, hold_out = groups("learn", 2), groups("hold out", 2)
    return fit_once(learn, hold_out, out=out, config=config, seed=seed, made_by="this code")


def test_keeps_a_model_that_must_not_be_shipped(tmp_path: Path) -> None:
    (tmp_path / "guarded").mkdir()
    learn, hold_out = groups("learn", 2), groups("hold out", 2)
    with pytest.raises(UnfitModelError, match="posterior collapse"):
        fit(learn, hold_out, out=tmp_path / "guarded", config=REFUSED, seed=0)
    first = run(tmp_path / "kept")
    assert sum(first.report["fitness"]["nats_per_pixel"]) < 1e3
    assert first.report["made_by"] == "this code"


def test_reads_what_it_kept_instead_of_training_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(tmp_path)
    monkeypatch.setattr(kept, "fit", None)
    again = run(tmp_path)
    assert same(first, again)
    assert first.report == again.report
    assert first.config == again.config


def test_measures_what_it_kept_anew_for_another_way_of_scoring(tmp_path: Path) -> None:
    first = run(tmp_path)
    fusion = REFUSED.vae.fusion.model_copy(update={"restoration": 3.0})
    vae = REFUSED.vae.model_copy(update={"fusion": fusion})
    again = run(tmp_path, REFUSED.model_copy(update={"vae": vae}))
    assert again.config == vae
    assert torch.equal(first.statistics["atlas.spread"], again.statistics["atlas.spread"])
    assert not torch.equal(first.statistics["fused.spread"], again.statistics["fused.spread"])


def test_refuses_what_another_run_left_there(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(SettingsError, match="another seed"):
        run(tmp_path, seed=1)
    (tmp_path / MODEL).write_bytes(b"no tensors")
    with pytest.raises(SettingsError, match="does not read"):
        run(tmp_path)


def test_lets_one_at_a_time_train_and_the_other_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trains, go_on = Event(), Event()
    trained: list[int] = []
    models: list[TrainedModel] = []

    def slow(*args: Any, **kwargs: Any) -> TrainedModel:
        trained.append(1)
        trains.set()
        assert go_on.wait(WAIT_SECONDS)
        return fit(*args, **kwargs)

    monkeypatch.setattr(kept, "fit", slow)
    calls = [Thread(target=lambda: models.append(run(tmp_path))) for _ in range(2)]
    calls[0].start()
    assert trains.wait(WAIT_SECONDS)
    calls[1].start()
    calls[1].join(0.5)
    assert calls[1].is_alive()
    go_on.set()
    for call in calls:
        call.join(WAIT_SECONDS)
    assert trained == [1]
    assert same(*models)
