import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mri_guard.errors import LimitError, SeriesError, SettingsError, UnreadableError
from mri_guard.readers import Decoder
from mri_guard.readers.dicom_series import read_series
from mri_guard.records import Contrast, Format, Source
from tests.dicom_files import head, mr_slices, write, write_series


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(tuple(write_series(tmp_path_factory.mktemp("series"))), Format.DICOM)


@pytest.fixture(scope="module")
def unruly() -> Iterator[Decoder]:
    with Decoder(seconds=1.5, child="tests.readers.unruly_child") as decoder:
        yield decoder


def asking(name: str) -> Source:
    return Source((Path("/nowhere") / name,), Format.DICOM)


def test_decodes_as_it_would_in_this_process(decoder: Decoder, series: Source) -> None:
    there, here = decoder(series), read_series(series.files)
    assert np.array_equal(there.voxels, here.voxels)
    assert np.array_equal(there.affine, here.affine)
    assert there.header == here.header
    assert there.voxels.dtype == np.float32
    assert not there.voxels.flags.writeable


def test_keeps_its_child_warm(decoder: Decoder, series: Source) -> None:
    decoder(series)
    before = decoder.pid
    assert np.array_equal(decoder(series).voxels, head().T)
    assert decoder.pid == before


def test_passes_on_what_the_caller_says_of_the_contrast(decoder: Decoder, series: Source) -> None:
    said = decoder(Source(series.files, Format.DICOM, Contrast.T1))
    assert said.header.contrast is Contrast.UNKNOWN  # the header says FLAIR


def test_raises_the_error_that_the_child_met(decoder: Decoder, tmp_path: Path) -> None:
    paths = write([*mr_slices(), *mr_slices(head() // 2, EchoTime=20)], tmp_path)
    with pytest.raises(SeriesError) as caught:
        decoder(Source(tuple(paths), Format.DICOM))
    assert caught.value.reason == "several-volumes"
    assert caught.value.detail == "2 images at one place; one volume wanted"


@pytest.mark.parametrize("name", ["crash", "panic"])
def test_outlives_a_codec_that_dies(unruly: Decoder, series: Source, name: str) -> None:
    with pytest.raises(UnreadableError) as caught:
        unruly(asking(name))
    assert caught.value.reason == "decoder-died"
    assert np.array_equal(unruly(series).voxels, head().T)


@pytest.mark.parametrize("name", ["hang", "spin"])
def test_ends_what_takes_too_long(unruly: Decoder, series: Source, name: str) -> None:
    start = time.monotonic()
    with pytest.raises(LimitError) as caught:
        unruly(asking(name))
    assert caught.value.reason == "decoder-timeout"
    assert time.monotonic() - start < 5
    assert np.array_equal(unruly(series).voxels, head().T)


def test_ends_what_takes_too_much_memory(unruly: Decoder, series: Source) -> None:
    with pytest.raises(LimitError) as caught:
        unruly(asking("swell"))
    assert caught.value.reason == "decoder-memory"
    assert np.array_equal(unruly(series).voxels, head().T)


def test_holds_a_real_series_to_the_memory_allowed(tmp_path: Path) -> None:
    large = np.zeros((12, 2048, 2048), dtype=np.uint16)
    source = Source(tuple(write(mr_slices(large), tmp_path)), Format.DICOM)
    with Decoder(memory_mb=450) as tight, pytest.raises(LimitError) as caught:
        tight(source)
    assert caught.value.reason == "decoder-memory"


def test_reads_nothing_that_a_codec_prints(unruly: Decoder) -> None:
    with pytest.raises(UnreadableError) as caught:
        unruly(asking("babble"))
    assert caught.value.reason == "does-not-decode"  # no such file, and no word of the babble


def test_replaces_a_child_that_was_killed_between_scans(series: Source) -> None:
    with Decoder() as decoder:
        decoder(series)
        os.kill(decoder.pid, signal.SIGKILL)
        time.sleep(0.1)
        assert np.array_equal(decoder(series).voxels, head().T)


def test_serves_threads_one_at_a_time(decoder: Decoder, series: Source) -> None:
    seen: list[bool] = []
    threads = [
        threading.Thread(target=lambda: seen.append(decoder(series).header.slice_count == 24))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 4


def test_says_that_the_child_cannot_start() -> None:
    with (
        Decoder(child="tests.readers.no_such_module") as decoder,
        pytest.raises(SettingsError, match="did not start"),
    ):
        decoder(asking("anything"))


def test_leaves_no_child_behind(series: Source) -> None:
    with Decoder() as decoder:
        pid = decoder.pid
        decoder(series)
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(RuntimeError, match="closed"):
        decoder(series)


def test_takes_its_child_along_when_it_is_dropped() -> None:
    dropped = Decoder()
    pid = dropped.pid
    del dropped
    gc.collect()
    assert not _alive(pid)


def test_child_ends_with_its_parent() -> None:
    script = "from mri_guard.readers import Decoder; print(Decoder().pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(child)


def test_child_sees_no_secret_and_imports_no_model(
    decoder: Decoder, series: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MRI_GUARD_SECRET", "not for codecs")
    with Decoder() as fresh:
        fresh(series)
        environment = Path(f"/proc/{fresh.pid}/environ").read_bytes()
        mapped = Path(f"/proc/{fresh.pid}/maps").read_text()
    assert b"MRI_GUARD" not in environment
    assert "libtorch" not in mapped


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
