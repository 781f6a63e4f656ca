"""The parts of a multipart body that lies on disk (RFC 2046 section 5.1.1)."""

import mmap
from collections.abc import Iterator

from mri_guard.errors import UnreadableError

MAX_HEADER_BYTES = 8192


def parts(body: mmap.mmap, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Start and end of the content of each part, in order.

    Raises:
        UnreadableError: the body does not follow its boundary, or ends before the last one.
    """
    opening, delimiter = b"--" + boundary, b"\r\n--" + boundary
    if body[: len(opening)] == opening:
        at = len(opening)
    else:  # a preamble, which is to be ignored
        at = _find(body, delimiter, 0) + len(delimiter)
    while body[at : at + 2] != b"--":
        line_end = _find(body, b"\r\n", at, MAX_HEADER_BYTES)
        if body[at:line_end].strip(b" \t"):
            raise _broken("a boundary goes on")
        # An empty line ends the headers; it is the very next where there are none.
        start = _find(body, b"\r\n\r\n", line_end, MAX_HEADER_BYTES) + 4
        found = _find(body, delimiter, start - 2)
        yield start, max(start, found)
        at = found + len(delimiter)


def _find(body: mmap.mmap, what: bytes, start: int, within: int | None = None) -> int:
    end = len(body) if within is None else min(len(body), start + within)
    found = body.find(what, start, end)
    if found < 0:
        raise _broken("it ends early" if end == len(body) else "a header is too long")
    return found


def _broken(how: str) -> UnreadableError:
    return UnreadableError("multipart-broken", f"the body does not follow its boundary: {how}")
