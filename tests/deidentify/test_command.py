"""`mri-guard deidentify`, as an engineer would use it."""

import json
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import CTImageStorage
from typer.testing import CliRunner

from mri_guard.cli import BROKEN, CALLED_WRONGLY, SAID_NO, app
from mri_guard.deidentify import load_key_file, read_identities
from tests.dicom_files import mr_slices, write

runner = CliRunner()


def run(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    ran = runner.invoke(app, ["deidentify", "--json", *map(str, arguments)])
    return ran.exit_code, json.loads(ran.stdout) if ran.stdout else {}


def test_a_series_comes_out_without_its_patient(tmp_path: Path) -> None:
    slices = mr_slices()[:3]
    write(slices, tmp_path / "Made^Up")
    key, out, who = tmp_path / "key", tmp_path / "out", tmp_path / "identities.json"
    status, said = run(
        tmp_path / "Made^Up", "--out", out, "--key-file", key, "--make-key", "--identities", who
    )
    assert status == 0
    assert len(said["files"]) == 3
    assert {str(path) for path in out.iterdir()} == {row["written"] for row in said["files"]}
    for path in out.iterdir():
        assert dcmread(path).SOPInstanceUID == path.stem
        assert b"Made" not in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600
    assert b"Made" not in who.read_bytes()
    identities = read_identities(who, [load_key_file(key)])
    assert set(identities) == {path.stem for path in out.iterdir()}
    found = {identity.original(uid) for uid, identity in identities.items()}
    assert found == {one.SOPInstanceUID for one in slices}


def test_a_refused_file_leaves_nothing_and_the_others_come_out(tmp_path: Path) -> None:
    slices = mr_slices()[:2]
    slices[1].SOPClassUID = CTImageStorage
    write(slices, tmp_path / "in")
    status, said = run(
        tmp_path / "in", "--out", tmp_path / "out", "--key-file", tmp_path / "key", "--make-key"
    )
    assert status == SAID_NO
    assert sorted(row["reason"] for row in said["files"]) == ["", "sop-class"]
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_the_same_uid_with_other_content_is_refused(tmp_path: Path) -> None:
    first, second = mr_slices()[:2]
    second.SOPInstanceUID = first.SOPInstanceUID
    write([first, second], tmp_path / "in")
    status, said = run(
        tmp_path / "in", "--out", tmp_path / "out", "--key-file", tmp_path / "key", "--make-key"
    )
    assert status == SAID_NO
    assert [row["reason"] for row in said["files"]] == ["", "instance-collision"]


def test_a_key_is_made_alone_and_never_by_itself(tmp_path: Path) -> None:
    write(mr_slices()[:1], tmp_path / "in")
    key = tmp_path / "key"
    assert run(tmp_path / "in", "--out", tmp_path / "out", "--key-file", key)[0] == BROKEN
    assert not key.exists()
    assert not (tmp_path / "out").exists()
    assert run("--key-file", key, "--make-key")[0] == 0
    assert run("--key-file", key, "--make-key")[0] == BROKEN
    assert run(tmp_path / "in", "--out", tmp_path / "out", "--key-file", key)[0] == 0
    key.chmod(0o644)
    assert run(tmp_path / "in", "--out", tmp_path / "out", "--key-file", key)[0] == BROKEN


def test_says_what_it_was_called_without(tmp_path: Path) -> None:
    write(mr_slices()[:1], tmp_path / "in")
    key, who = tmp_path / "key", tmp_path / "identities"
    run("--key-file", key, "--make-key")
    assert run("--key-file", key)[0] == CALLED_WRONGLY
    assert run(tmp_path / "in", "--key-file", key)[0] == CALLED_WRONGLY
    who.touch()
    arguments = (tmp_path / "in", "--key-file", key, "--out", tmp_path / "out")
    assert run(*arguments, "--identities", who)[0] == CALLED_WRONGLY
    assert not (tmp_path / "out").exists()


def test_the_same_key_keeps_series_together_over_runs(tmp_path: Path) -> None:
    first, second = mr_slices()[:2]
    key = tmp_path / "key"
    run("--key-file", key, "--make-key")
    made = []
    for number, one in enumerate((first, second)):
        (file,) = write([one], tmp_path / f"in{number}")
        _, said = run(file, "--out", tmp_path / "out", "--key-file", key)
        made.append(dcmread(said["files"][0]["written"]))
    assert made[0].SeriesInstanceUID == made[1].SeriesInstanceUID
    assert made[0].SOPInstanceUID != made[1].SOPInstanceUID


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    write(mr_slices()[:1], tmp_path / "in")
    (tmp_path / "out").write_text("a file")
    status, _ = run(
        tmp_path / "in", "--out", tmp_path / "out", "--key-file", tmp_path / "key", "--make-key"
    )
    assert status == BROKEN
