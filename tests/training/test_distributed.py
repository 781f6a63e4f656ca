"""Two processes on the CPU, as torchrun would start them."""

import multiprocessing
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mri_guard.anomaly import Vae
from mri_guard.determinism import generator
from mri_guard.errors import SettingsError
from mri_guard.training import train as module
from mri_guard.training.batches import Batch, Groups, training_batch
from mri_guard.training.config import TrainConfig
from mri_guard.training.data import subject_of
from mri_guard.training.distributed import ALONE, Team, join
from mri_guard.training.train import CHECKPOINT, fit
from tests.toys import TINY, toy_brain

SIZE = 2
CONFIG = TrainConfig(
    vae=TINY,
    target_nats=(0.4, 0.05),
    free_nats=0.0,
    steps=5,
    batch=4,
    crop_px=48,
    warm_up_steps=2,
    mine=False,
    lesion_weight=0.0,
    check_every=5,
    held_out_windows=4,
)
"""Of a loss that is the mean of its shares, where all windows show as much brain."""

INTERRUPTED = 2
"""Step in which one process is told to end."""


def groups(split: str) -> Groups:
    """One slice of one brain, whole in every window."""
    subject = subject_of(toy_brain(generator(0, "team", split)), None, TINY)
    return [[replace(subject, centres=np.array([4]))]]


def no_draws(_: Vae, mean: Tensor, *__: object) -> Tensor:
    """The latents' mean: no two ways of sharing out a batch draw the same noise."""
    return mean


def process(rank: int, port: int, folder: Path) -> None:
    """What one of the processes does: a run that the other one interrupts, and the rest of it."""
    environment = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": SIZE, "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in environment.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    torch.set_num_threads(1)
    team, device = join("cpu")
    prices: list[list[float]] = []
    networks: list[nn.Module] = []
    original = module.train_step

    def step(network: nn.Module, *rest: Any, **named: Any) -> Any:
        progress = named["progress"]
        prices.append(progress.prices)
        networks.append(cast(nn.Module, network.module))
        if team.rank == 1 and progress.step == INTERRUPTED and len(prices) == INTERRUPTED + 1:
            os.kill(os.getpid(), signal.SIGINT)
        return original(network, *rest, **named)

    for owner, name, double in ((module, "train_step", step), (Vae, "_sample", no_draws)):
        setattr(owner, name, double)

    def run() -> None:
        fit(
            groups("learn"),
            groups("hold out"),
            out=folder,
            config=CONFIG,
            seed=0,
            device=device,
            team=team,
            guarded=False,
        )

    try:
        run()
    except KeyboardInterrupt:
        (folder / f"interrupted {rank}").write_text(str(len(prices)))
    if team.leads:
        (folder / "left").write_text(str((folder / CHECKPOINT).exists()))
    team.mean([0.0])  # the lead has written its checkpoint: started anew, both would find it
    try:
        run()
    finally:
        trained = networks[-1].state_dict()
        kept = {key: value.contiguous() for key, value in trained.items()}
        kept["prices"] = torch.tensor(prices)
        save_file(kept, folder / f"{rank}.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both processes have left their weights."""
    made = tmp_path_factory.mktemp("team")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn = multiprocessing.get_context("spawn")
    team = [spawn.Process(target=process, args=(rank, port, made)) for rank in range(SIZE)]
    for one in team:
        one.start()
    for one in team:
        one.join(120)
    assert [one.exitcode for one in team] == [0] * SIZE
    return made


def weights(folder: Path, rank: int) -> dict[str, Tensor]:
    return load_file(folder / f"{rank}.safetensors")


def whole(batches: list[Batch]) -> Batch:
    """The shares of a batch, together."""
    each = zip(*((b.window, b.position, b.target, b.brain, b.lesion) for b in batches), strict=True)
    window, position, target, brain, lesion = map(torch.cat, each)
    return Batch(window, position, target, brain, lesion, ())


def test_holds_the_same_weights_and_prices_in_every_process(folder: Path) -> None:
    one, other = weights(folder, 0), weights(folder, 1)
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert len(torch.unique(one["prices"], dim=0)) > 2


def test_ends_all_at_the_same_step_when_one_is_interrupted_and_goes_on_from_there(
    folder: Path,
) -> None:
    done = [(folder / f"interrupted {rank}").read_text() for rank in range(SIZE)]
    assert done == [str(INTERRUPTED + 1)] * SIZE
    assert (folder / "left").read_text() == "True"
    assert len(weights(folder, 0)["prices"]) == CONFIG.steps


def test_learns_what_one_process_learns_from_the_whole_batch(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, networks = training_batch, []

    def both(learn: Groups, seed: int, step: int, *, size: int, **rest: Any) -> Batch:
        numbers = [Team(rank, SIZE).number(step) for rank in range(SIZE)]
        return whole([original(learn, seed, n, size=size // SIZE, **rest) for n in numbers])

    def step(
        network: nn.Module, *rest: Any, original: Any = module.train_step, **named: Any
    ) -> Any:
        networks.append(network)
        return original(network, *rest, **named)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # like each of the team: more threads add up in another order
    monkeypatch.setattr(module, "training_batch", both)
    monkeypatch.setattr(module, "train_step", step)
    monkeypatch.setattr(Vae, "_sample", no_draws)
    try:
        fit(groups("learn"), groups("hold out"), out=tmp_path, config=CONFIG, seed=0, guarded=False)
    finally:
        torch.set_num_threads(threads)
    found, wanted = weights(folder, 0), networks[-1].state_dict()
    torch.manual_seed(int(generator(0, "weights").integers(2**62)))
    moved = max(float((wanted[k] - v).abs().max()) for k, v in Vae(TINY.model).state_dict().items())
    apart = max(float((wanted[k] - found[k]).abs().max()) for k in wanted)
    assert apart < 1e-3 * moved


def test_draws_in_no_two_processes_and_steps_the_same() -> None:
    numbers = [Team(rank, 3).number(step) for rank in range(3) for step in range(5)]
    assert len(set(numbers)) == len(numbers)
    assert [ALONE.number(step) for step in range(5)] == list(range(5))


def test_refuses_to_share_what_cannot_be_shared(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="wanted a multiple of 3"):
        Team(0, 3).share(4)
    mining = CONFIG.model_copy(update={"mine": True})
    with pytest.raises(SettingsError, match="mine wants one process"):
        fit([], [], out=tmp_path, config=mining, seed=0, team=Team(0, 2))


def test_refuses_one_gpu_for_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SettingsError, match="a GPU for each"):
        join("cuda:1")


def test_is_a_team_of_one_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join("cpu") == (ALONE, torch.device("cpu"))
