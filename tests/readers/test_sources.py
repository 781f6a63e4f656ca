import stat
import zipfile
from pathlib import Path

import pytest
from pydicom.uid import MediaStorageDirectoryStorage

from mri_guard.errors import InputError, LimitError, UnreadableError
from mri_guard.readers import open_sources, sources
from mri_guard.records import Contrast, Format
from tests.dicom_files import mr_slices, write, write_series


def zipped(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*")):
            out.write(path, path.relative_to(folder))
    return archive


def zip_of(archive: Path, name: str, content: bytes = b"x", mode: int = 0) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = mode << 16
        out.writestr(entry, content)
    return archive


def test_groups_a_folder_by_series(tmp_path: Path) -> None:
    write_series(tmp_path / "study" / "a")
    write_series(tmp_path / "study" / "b" / "deep", name="other")
    (tmp_path / "study" / "README.txt").write_text("beside the images")
    found = open_sources(tmp_path / "study", tmp_path)
    assert [len(source.files) for source in found] == [24, 24]
    assert {source.format for source in found} == {Format.DICOM}
    assert len({file for source in found for file in source.files}) == 48


def test_reads_a_zip_as_it_reads_the_folder(tmp_path: Path) -> None:
    paths = write_series(tmp_path / "in" / "deep")
    archive = zipped(tmp_path / "in", tmp_path / "study.zip")
    (tmp_path / "work").mkdir()
    (found,) = open_sources(archive, tmp_path / "work", Contrast.FLAIR)
    assert found.contrast is Contrast.FLAIR
    assert [file.read_bytes() for file in found.files] == [path.read_bytes() for path in paths]
    assert all(file.is_relative_to(tmp_path / "work") for file in found.files)


def test_makes_a_source_of_each_file_that_does_not_parse(tmp_path: Path) -> None:
    write_series(tmp_path / "in")
    (tmp_path / "in" / "empty").touch()
    (tmp_path / "in" / "picture.dcm").write_bytes(b"\xff\xd8\xff\xe0 JFIF")
    found = open_sources(tmp_path / "in", tmp_path)
    assert [len(source.files) for source in found] == [24, 1, 1]
    assert {source.files[0].name for source in found[1:]} == {"empty", "picture.dcm"}


def test_leaves_out_dicomdir(tmp_path: Path) -> None:
    directory = mr_slices()[0]
    directory.SOPClassUID = MediaStorageDirectoryStorage
    write([directory], tmp_path / "in", prefix="DICOMDIR")
    with pytest.raises(UnreadableError, match="no-scan: 1 files seen"):
        open_sources(tmp_path / "in", tmp_path)
    write_series(tmp_path / "in")
    assert len(open_sources(tmp_path / "in", tmp_path)) == 1


def test_takes_one_file_for_one_source_whatever_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "thing.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 JFIF")
    (found,) = open_sources(path, tmp_path)
    assert found.files == (path,)
    assert found.format is Format.DICOM


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        ("sub-1_FLAIR.nii.gz", None, Contrast.FLAIR),
        ("sub-1_FLAIR.nii", Contrast.T1, Contrast.T1),
        ("brain.nii.gz", None, None),
    ],
)
def test_takes_the_contrast_of_nifti_from_the_caller_or_the_name(
    tmp_path: Path, name: str, said: Contrast | None, expected: Contrast | None
) -> None:
    (tmp_path / name).write_bytes(b"content is read later")
    (found,) = open_sources(tmp_path / name, tmp_path, said)
    assert found.format is Format.NIFTI
    assert found.contrast is expected


def test_refuses_a_path_with_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="nothing-there"):
        open_sources(tmp_path / "absent", tmp_path)


def test_refuses_a_folder_without_a_scan(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(UnreadableError, match="no-scan: 0 files seen"):
        open_sources(tmp_path / "in", tmp_path)


@pytest.mark.parametrize(
    ("name", "mode", "reason"),
    [
        ("../outside.dcm", 0, "zip-path"),
        ("a/../../outside.dcm", 0, "zip-path"),
        ("..\\outside.dcm", 0, "zip-path"),
        ("/etc/outside.dcm", 0, "zip-path"),
        ("C:\\outside.dcm", 0, "zip-path"),
        ("link.dcm", stat.S_IFLNK | 0o777, "zip-link"),
        ("pipe.dcm", stat.S_IFIFO | 0o666, "zip-link"),
    ],
)
def test_refuses_a_zip_that_reaches_outside(
    tmp_path: Path, name: str, mode: int, reason: str
) -> None:
    work = tmp_path / "deep" / "work"
    work.mkdir(parents=True)
    with pytest.raises(UnreadableError) as caught:
        open_sources(zip_of(tmp_path / "a.zip", name, b"/etc/passwd", mode), work)
    assert caught.value.reason == reason
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.zip"]


def test_refuses_a_zip_bomb_before_inflating_it(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", "bomb.dcm", b"\0" * (sources.RATIO_FREE_BYTES + 1))
    assert archive.stat().st_size < 100_000
    with pytest.raises(LimitError) as caught:
        open_sources(archive, tmp_path)
    assert caught.value.reason == "zip-bomb"
    assert [path.name for path in tmp_path.rglob("*")] == ["a.zip"]


def test_refuses_an_entry_that_holds_more_than_it_says(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", "lie.dcm", b"\0" * 100_000)
    content = bytearray(archive.read_bytes())
    for signature, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        size = content.index(signature) + at
        content[size : size + 4] = (10).to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_sources(archive, tmp_path)
    assert caught.value.reason in {"zip-bomb", "zip-broken"}
    assert all(path.stat().st_size <= 10 for path in tmp_path.rglob("*.dcm"))


def test_refuses_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_series(tmp_path / "in")
    archive = zipped(tmp_path / "in", tmp_path / "a.zip")
    monkeypatch.setattr(sources, "MAX_FILES", 23)
    for path in (archive, tmp_path / "in"):
        with pytest.raises(LimitError, match="too-many-files"):
            open_sources(path, tmp_path)


def test_refuses_more_bytes_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_UNZIPPED_BYTES", 1000)
    with pytest.raises(LimitError, match="zip-too-large"):
        open_sources(zip_of(tmp_path / "a.zip", "a.dcm", bytes(range(256)) * 4), tmp_path)


def test_does_not_open_a_zip_in_a_zip(tmp_path: Path) -> None:
    write_series(tmp_path / "in")
    inner = zipped(tmp_path / "in", tmp_path / "inner.zip").read_bytes()
    (found,) = open_sources(zip_of(tmp_path / "a.zip", "inner.zip", inner), tmp_path)
    assert found.files[0].read_bytes() == inner


def test_refuses_a_truncated_zip(tmp_path: Path) -> None:
    write_series(tmp_path / "in")
    archive = zipped(tmp_path / "in", tmp_path / "a.zip")
    archive.write_bytes(archive.read_bytes()[:-200])
    with pytest.raises(UnreadableError, match="zip-broken"):
        open_sources(archive, tmp_path)


def test_refuses_an_encrypted_zip(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", "a.dcm")
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(UnreadableError, match="zip-encrypted"):
        open_sources(archive, tmp_path)


def test_keeps_entries_apart_that_share_a_name(tmp_path: Path) -> None:
    first, second = mr_slices()[:2]
    one, two = write([first, second], tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.write(one, "disc1/IM0000")
        out.write(two, "disc2/IM0000")
    (found,) = open_sources(tmp_path / "a.zip", tmp_path)
    assert [path.read_bytes() for path in found.files] == [one.read_bytes(), two.read_bytes()]
