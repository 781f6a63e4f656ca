from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from mri_guard.kept import code_digest, digest_of, digest_of_arrays, digest_of_path, keep, once

NUMBERS = TypeAdapter(tuple[float, ...])


def test_makes_a_value_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "value.json"
    assert once(path, NUMBERS, lambda: (0.1, 2.0)) == (0.1, 2.0)
    assert once(path, NUMBERS, lambda: (3.0,)) == (0.1, 2.0)


def test_keeps_nothing_of_a_value_that_was_not_made(tmp_path: Path) -> None:
    def interrupted() -> tuple[float, ...]:
        raise KeyboardInterrupt

    path = tmp_path / "value.json"
    with pytest.raises(KeyboardInterrupt):
        once(path, NUMBERS, interrupted)
    assert once(path, NUMBERS, lambda: (3.0,)) == (3.0,)


def test_leaves_the_whole_file_and_no_other(tmp_path: Path) -> None:
    for content in (b"long before", b"now"):
        keep(tmp_path / "one.npz", content)
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]
    assert (tmp_path / "one.npz").read_bytes() == b"now"


def test_tells_values_and_arrays_apart() -> None:
    assert digest_of("a", 1, None) == digest_of("a", 1, None)
    assert len({digest_of("a", 1), digest_of("a", "1"), digest_of("a1"), digest_of(1, "a")}) == 4
    array = np.arange(6.0).reshape(2, 3)
    assert digest_of_arrays(array) == digest_of_arrays(np.asfortranarray(array))
    assert len({digest_of_arrays(*some) for some in ((array,), (array + 1,), (array, None))}) == 3


def test_tells_files_and_folders_apart_by_what_is_in_them(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(b"first")
    before = digest_of_path(folder)
    assert before == digest_of_path(folder)
    (folder / "b.dcm").write_bytes(b"second")
    assert len({before, digest_of_path(folder), digest_of_path(folder / "a.dcm")}) == 3


def test_digests_the_source_it_is_told_of() -> None:
    assert code_digest("kept.py") == code_digest("kept.py")
    assert (
        len({code_digest(*some) for some in (("kept.py",), ("metrics",), ("kept.py", "metrics"))})
        == 3
    )
