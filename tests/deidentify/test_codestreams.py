import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames

from mri_guard.deidentify import DeidentificationKey, deidentify
from mri_guard.deidentify.codestreams import bare_jpeg, bare_jpeg_2000, bare_jpeg_ls
from mri_guard.errors import UnreadableError
from tests.deidentify.images import CODESTREAMS, compressed, plant_in_codestream
from tests.deidentify.markers import Markers, as_file

KEY = DeidentificationKey(b"k" * 32)
STRIPPED = {"JPEG": bare_jpeg, "JPEG-LS": bare_jpeg_ls, "JPEG 2000": bare_jpeg_2000}


def frame_of(name: str, markers: Markers | None = None) -> bytes:
    made = compressed(CODESTREAMS[name])
    if markers:
        plant_in_codestream(made, markers)
    return next(generate_frames(made.PixelData, number_of_frames=1))


@pytest.mark.parametrize("name", CODESTREAMS)
def test_comments_go_and_the_pixels_stay(name: str) -> None:
    dataset, markers = compressed(CODESTREAMS[name]), Markers(grammatical=True)
    pixels = dataset.pixel_array
    plant_in_codestream(dataset, markers)
    file = as_file(dataset)
    assert markers.planted(file) == len(markers.texts) > 0
    made = dcmread(io.BytesIO(deidentify(file, KEY).content))
    assert markers.left(made.PixelData) == set()
    assert made.file_meta.TransferSyntaxUID == CODESTREAMS[name]
    assert np.array_equal(made.pixel_array, pixels)


@pytest.mark.parametrize("name", STRIPPED)
def test_a_bare_codestream_stays_as_it_is(name: str) -> None:
    bare = STRIPPED[name](frame_of(name))
    assert STRIPPED[name](bare) == bare
    assert STRIPPED[name](frame_of(name, Markers(grammatical=True))) == bare


@pytest.mark.parametrize("name", STRIPPED)
def test_every_cut_is_refused_by_name(name: str) -> None:
    bare = STRIPPED[name](frame_of(name))
    for length in range(0, len(bare), max(1, len(bare) // 200)):
        with pytest.raises(UnreadableError, match="codestream"):
            STRIPPED[name](bare[:length])


@pytest.mark.parametrize("name", STRIPPED)
def test_hostile_bytes_end_in_a_refusal_or_a_codestream(name: str) -> None:
    rng = np.random.default_rng(3)
    bare = bytearray(STRIPPED[name](frame_of(name)))
    for _ in range(300):
        hurt = bytearray(bare)
        for at in rng.integers(0, min(len(hurt), 400), 3):
            hurt[at] = rng.integers(0, 256)
        try:
            made = STRIPPED[name](bytes(hurt))
        except UnreadableError as refused:
            assert refused.reason == "codestream"  # noqa: PT017 - either end is right
        else:
            assert len(made) <= len(hurt)


def test_jp2_boxes_are_refused() -> None:
    with pytest.raises(UnreadableError, match="codestream"):
        bare_jpeg_2000(b"\0\0\0\x0cjP  \r\n\x87\n" + frame_of("JPEG 2000"))
