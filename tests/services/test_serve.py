import json
import os
import signal
import threading
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from mri_guard.errors import SettingsError
from services import serve as module
from services.serve import serve
from services.settings import Settings
from tests.services import crew
from tests.services.waiting import eventually


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Puts signal handlers back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def anywhere(settings: Settings) -> Settings:
    """Settings with free ports."""
    return settings.model_copy(update={"http_port": 0, "dicom_port": 0})


def ended_after(act: Callable[[], object]) -> threading.Thread:
    """A thread that acts and then asks this process to end, as an operator does."""

    def run() -> None:
        try:
            act()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_tells_where_it_listens_and_ends_on_a_signal(
    anywhere: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    told = anywhere.home / module.ADDRESSES
    seen: list[object] = []

    def look() -> None:
        eventually(told.exists)
        addresses = json.loads(told.read_text())
        seen.append(addresses)
        with urllib.request.urlopen(f"{addresses['url']}/health") as answer:
            seen.append(json.load(answer)["ready"])
        with pytest.raises(SettingsError, match="another server"), module._alone(anywhere.home):
            pass

    operator = ended_after(look)
    status = serve(anywhere, entry=crew.wait)
    operator.join()

    assert status == 0
    addresses, ready = seen
    assert ready is True
    assert isinstance(addresses, dict)
    assert addresses["pid"] == os.getpid()
    assert str(addresses["dicom_port"]) in capsys.readouterr().out
    assert not told.exists()


def test_starts_a_worker_again_that_died(anywhere: Settings) -> None:
    starts = anywhere.home / crew.STARTS

    operator = ended_after(
        lambda: eventually(lambda: starts.exists() and len(starts.read_text().splitlines()) > 1)
    )
    status = serve(anywhere, entry=crew.die)
    operator.join()

    assert status == 0
    assert len(starts.read_text().splitlines()) > 1


def test_ends_with_status_3_when_a_worker_finds_the_bundle_broken(anywhere: Settings) -> None:
    assert serve(anywhere, entry=crew.find_the_bundle_broken) == 3


def test_ends_with_status_1_when_a_part_dies(
    anywhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> int:
        raise AssertionError

    monkeypatch.setattr(module, "complete_quiet_series", crash)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    assert serve(anywhere, entry=crew.wait) == 1


def test_writes_the_head_of_the_audit_chain_when_it_ends(anywhere: Settings) -> None:
    anchored = anywhere.model_copy(update={"audit_anchor": anywhere.home / "anchor.jsonl"})

    assert serve(anchored, entry=crew.find_the_bundle_broken) == 3

    assert json.loads((anywhere.home / "anchor.jsonl").read_text())["sequence"] > 0
