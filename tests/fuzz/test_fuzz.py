"""A short run of what `make fuzz` does at length, and that the fuzzer would notice."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from mri_guard.determinism import generator
from mri_guard.readers import Decoder
from mri_guard.records import Contrast, Format, Source
from mri_guard.sanitize import Sanitizer
from tests.fuzz import run
from tests.fuzz.mutate import MUTATIONS, mutate
from tests.fuzz.run import fuzz
from tests.fuzz.seeds import SHAPE, seeds


def test_ends_every_mutated_file_in_a_named_result(tmp_path: Path) -> None:
    tally = fuzz(tmp_path, 1200, seed=7)
    assert (tally.done, tally.crashes, tally.hangs) == (1200, {}, [])
    assert tally.decoded > 300
    assert {"decoder: decoded", "decoder: pixels-do-not-decode"} <= set(tally.reasons)
    assert len(tally.reasons) > 15


def test_begins_with_files_that_are_in_order(tmp_path: Path) -> None:
    sanitizer = Sanitizer.for_contrasts(tuple(Contrast))
    with Decoder() as decoder:
        for first, second in seeds():
            files = (tmp_path / "first.dcm", tmp_path / "second.dcm")
            for path, content in zip(files, (first, second), strict=True):
                path.write_bytes(content)
            results, _ = sanitizer.check_headers(Source(files[:1], Format.DICOM))
            assert results[-1].name == "slice_stack"  # one slice is no stack; all else is passed
            assert decoder(Source(files, Format.DICOM)).voxels.shape[:2] == SHAPE[:0:-1]


def test_makes_the_same_file_of_the_same_number() -> None:
    twice = [[first for first, _ in seeds()] for _ in range(2)]
    made = [
        [mutate(content, generator(3, "fuzz", at), clean) for at, content in enumerate(clean)]
        for clean in twice
    ]
    assert made[0] == made[1]
    assert all(changed != content for changed, content in zip(made[0], twice[0], strict=True))


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_survives_what_other_mutations_leave(mutation: Callable[..., bytearray]) -> None:
    clean = [first for first, _ in seeds()]
    for at in range(60):
        rng = generator(5, mutation.__name__, at)
        short = bytearray(clean[at % len(clean)][: int(rng.integers(8, 700))])
        assert isinstance(mutation(short, rng, clean), bytearray)


def test_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = fuzz(tmp_path / "whole", 60, seed=2)
    fuzz(tmp_path / "parts", 25, seed=2)
    parts = fuzz(tmp_path / "parts", 60, seed=2)
    assert parts.reasons == whole.reasons


def test_notices_a_crash_and_keeps_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(self: Sanitizer, source: Source) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Sanitizer, "check_headers", raises)

    def marked(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
        return b"planted"

    tally = fuzz(tmp_path, 1, seed=0, mutation=marked)
    assert list(tally.crashes) == ["0"]
    assert (tmp_path / "crash-0-0.dcm").read_bytes() == b"planted"


def test_notices_a_check_that_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = next(iter(Sanitizer().header_checks))

    def raises(*_: object) -> None:
        raise ValueError("planted")

    monkeypatch.setattr(type(check), "__call__", raises)
    assert fuzz(tmp_path, 1, seed=0).crashes


def test_notices_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS", 5e-324)
    monkeypatch.setattr(run, "SLACK_SECONDS", 0.0)
    assert fuzz(tmp_path, 1, seed=0).hangs
