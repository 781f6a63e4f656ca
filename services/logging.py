"""The services' log: JSON lines whose keys pass an allow-list.

No UID, name, date of a patient or pixel is logged. A key that is not listed here is dropped; a
value that looks like a DICOM UID is blotted out. Of what other packages log, warnings and errors
are kept by the package's name and the line alone, since pydicom and pynetdicom quote header values.
"""

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

ALLOWED = frozenset(
    {
        "ae_allowed",
        "attempt",
        "case_id",
        "count",
        "detail",
        "error",
        "event",
        "examination_id",
        "fence",
        "http_status",
        "job_id",
        "key_id",
        "level",
        "logger",
        "method",
        "milliseconds",
        "name",
        "outcome",
        "pid",
        "port",
        "priority",
        "reason",
        "revision",
        "role",
        "route",
        "seconds",
        "sequence",
        "series",
        "sha256",
        "size_bytes",
        "state",
        "status",
        "step",
        "study",
        "time",
        "user_id",
        "where",
        "worker",
    }
)
"""Keys that may appear. `series` and `study` are keyed digests; `detail` is of our own errors."""

OURS = ("mri_guard", "services", "__main__")
MAX_VALUE_CHARACTERS = 300
UID = re.compile(r"\d+(?:\.\d+){4,}")
"""Five components and more; an IPv4 address has four."""


def configure(stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Sends the log of this process to a stream, standard error when None."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        locate_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_worth_keeping)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[hush_strangers, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                keep_allowed,
                structlog.processors.JSONRenderer(sort_keys=True, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)


def keep_allowed(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The event with listed keys alone, and no UID in any value."""
    return {key: _clean(value) for key, value in event.items() if key in ALLOWED}


def locate_exception(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Class and place of an exception in place of its message, which may quote what was read."""
    raised = event.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()
    error = raised[1] if isinstance(raised, tuple) else raised
    if isinstance(error, BaseException):
        event.update(place(error))
    return event


def place(error: BaseException) -> dict[str, str]:
    """Class of an exception, and function and line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].name}:{frames[-1].lineno}" if frames else ""
    return {"error": type(error).__name__, "where": where}


def hush_strangers(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A record of another package, with its name in place of its message."""
    record: logging.LogRecord = event["_record"]
    if not _is_ours(record):
        event["event"] = "log.foreign"
        event["where"] = f"{record.funcName}:{record.lineno}"
    return event


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.partition(".")[0] in OURS


def _worth_keeping(record: logging.LogRecord) -> bool:
    return _is_ours(record) or record.levelno >= logging.WARNING


def _clean(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return UID.sub("[uid]", str(value))[:MAX_VALUE_CHARACTERS]
