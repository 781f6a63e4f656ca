"""Evidence files, and the schema that is published for them."""

import json
from pathlib import Path

import jsonschema
import pytest

from mri_guard.errors import SettingsError, UnreadableError
from mri_guard.reports.evidence_files import read, schema
from tests.reports.toys import evidence

DOCS = Path(__file__).parents[2] / "docs"
PUBLISHED = DOCS / "evidence.schema.json"
SHIPPED = sorted((DOCS / "evidence").glob("*.json"))


def test_published_schema_is_that_of_the_code() -> None:
    # Made by: mri-guard report schema > docs/evidence.schema.json
    assert json.loads(PUBLISHED.read_text()) == schema()


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_evidence_fits_schema_and_reader(path: Path) -> None:
    jsonschema.Draft202012Validator(schema()).validate(json.loads(path.read_text()))
    (file,) = read([path])
    assert file.name == path.stem
    assert file.content == path.read_bytes()


@pytest.mark.parametrize(
    ("field", "value"), [("seed", None), ("metrics", {"a": {"value": 1}}), ("further", 1)]
)
def test_what_the_reader_refuses_the_schema_refuses(
    field: str, value: object, tmp_path: Path
) -> None:
    document = {**evidence().model_dump(), field: value}
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UnreadableError, match=field):
        read([path])
    assert not jsonschema.Draft202012Validator(schema()).is_valid(document)


def test_file_that_is_none_is_refused_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text("Mrs Smith")
    with pytest.raises(UnreadableError, match=r"^not-evidence: notes") as refused:
        read([path])
    assert "Smith" not in str(refused.value)
    with pytest.raises(UnreadableError, match="No such file"):
        read([tmp_path / "absent.json"])


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "one.json", tmp_path / "b" / "one.json"]
    for path in paths:
        path.parent.mkdir()
        evidence().save(path)
    with pytest.raises(SettingsError, match="two evidence files are called one"):
        read(paths)
