"""The log keeps what is listed, and nothing that names a patient."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from services import logging as ours

UID = "1.2.826.0.1.3680043.8.498.1"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    text = io.StringIO()
    ours.configure(text)
    yield text
    root.handlers, root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_writes_one_json_line_an_event(stream: io.StringIO) -> None:
    structlog.get_logger("services.x").info("intake.instance.received", size_bytes=7)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "intake.instance.received",
        "level": "info",
        "logger": "services.x",
        "size_bytes": 7,
    }


@pytest.mark.parametrize(
    "key", ["patient_name", "PatientID", "uid", "birth_date", "pixels", "api_key"]
)
def test_drops_a_key_that_is_not_listed(stream: io.StringIO, key: str) -> None:
    structlog.get_logger("services.x").info("a.b", **{key: "DOE^JOHN"})
    assert "DOE" not in stream.getvalue()
    assert key not in lines(stream)[0]


def test_blots_out_a_uid_in_any_value(stream: io.StringIO) -> None:
    structlog.get_logger("services.x").info(f"a.b {UID}", reason=f"saw {UID}", count=[UID])
    assert UID not in stream.getvalue()
    assert lines(stream)[0]["reason"] == "saw [uid]"


def test_names_class_and_place_of_an_exception_and_not_its_words(stream: io.StringIO) -> None:
    try:
        raise ValueError("DOE^JOHN")
    except ValueError:
        structlog.get_logger("services.x").exception("a.b")
        logging.getLogger("mri_guard.x").exception("step failed")
    for line in lines(stream):
        assert line["error"] == "ValueError"
        assert line["where"].startswith("test_names_class_and_place")
    assert "DOE" not in stream.getvalue()


def test_keeps_no_word_of_another_package(stream: io.StringIO) -> None:
    logging.getLogger("pydicom").warning("Invalid value for VR PN: DOE^JOHN")
    logging.getLogger("pynetdicom.acse").info("Peer: DOE^JOHN")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("DOE^JOHN", stacklevel=1)
    assert "DOE" not in stream.getvalue()
    assert [line["logger"] for line in lines(stream)] == ["pydicom", "py.warnings"]


def test_keeps_the_librarys_own_words(stream: io.StringIO) -> None:
    logging.getLogger("mri_guard.journey").error("journey failed in %s", "decode")
    assert lines(stream)[0]["event"] == "journey failed in decode"


def test_carries_what_was_bound(stream: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(examination_id="e1"):
        structlog.get_logger("services.x").info("a.b")
    assert lines(stream)[0]["examination_id"] == "e1"


def test_bounds_the_length_of_a_value(stream: io.StringIO) -> None:
    structlog.get_logger("services.x").info("a.b", detail="x" * 10_000)
    assert len(lines(stream)[0]["detail"]) == ours.MAX_VALUE_CHARACTERS
