import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_guard.errors import UnreadableError
from services.intake.multipart import parts


def split(body: bytes, folder: Path) -> list[bytes]:
    path = folder / "body"
    path.write_bytes(body)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return [content[start:end] for start, end in parts(content, b"edge")]


@pytest.mark.parametrize(
    ("body", "contents"),
    [
        (b"--edge\r\nA: b\r\nC: d\r\n\r\none\r\n--edge\r\n\r\ntwo\r\n--edge--", [b"one", b"two"]),
        (b"preamble\r\n--edge\r\n\r\none\r\n--edge--\r\nepilogue", [b"one"]),
        (b"--edge \t\r\n\r\none\r\n--edge--", [b"one"]),
        (b"--edge\r\n\r\n\r\n--edge\r\n\r\n--edge--", [b"", b""]),
        (b"--edge\r\n\r\n--edg\r\n-edge\r\n--edge--", [b"--edg\r\n-edge"]),
        (b"--edge--", []),
    ],
    ids=["two", "preamble and epilogue", "padding", "empty", "almost a boundary", "none"],
)
def test_finds_the_content_of_each_part(body: bytes, contents: list[bytes], tmp_path: Path) -> None:
    assert split(body, tmp_path) == contents


@pytest.mark.parametrize(
    "body",
    [
        b"nothing of the kind",
        b"--edge",
        b"--edge\r\nA: b\r\n",
        b"--edge\r\n\r\none",
        b"--edges\r\n\r\none\r\n--edges--",
        b"--edge\r\nA: " + bytes(9000) + b"\r\n\r\none\r\n--edge--",
    ],
    ids=["no boundary", "cut", "cut in headers", "cut in content", "longer", "long header"],
)
def test_refuses_a_body_that_does_not_follow_its_boundary(body: bytes, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="multipart-broken"):
        split(body, tmp_path)


@given(contents=st.lists(st.binary(max_size=40).filter(lambda some: b"--edge" not in some)))
def test_gives_back_what_was_put_in(
    contents: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    body = b"".join(b"--edge\r\nA: b\r\n\r\n" + some + b"\r\n" for some in contents) + b"--edge--"
    assert split(body, tmp_path_factory.getbasetemp()) == contents
