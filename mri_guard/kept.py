"""What has been computed, kept by a digest of all that it depends on: an interrupted evaluation
reads what is there already, and goes on where it stopped.
"""

import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

import mri_guard

Value = TypeVar("Value")


def once(path: Path, kind: TypeAdapter[Value], make: Callable[[], Value]) -> Value:
    """What is kept there, or what is made now, kept and read back: both are the same.

    Args:
        path: JSON.
        kind: of the value; all its numbers finite.
        make: the value.
    """
    if not path.is_file():
        keep(path, kind.dump_json(make()))
    return kind.validate_json(path.read_bytes())


def keep(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; its folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")  # another process may be at the same file
    part.write_bytes(content)
    part.replace(path)


def digest_of(*parts: object) -> str:
    """SHA-256 of plain values in their order, hex."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def digest_of_arrays(*arrays: NDArray[Any] | None) -> str:
    """SHA-256 of arrays' values in their order, hex."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def digest_of_path(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files and their names in order, hex."""
    sha = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb") as opened:
                own = hashlib.file_digest(opened, "sha256").hexdigest()
            sha.update(f"{file.relative_to(path)}\0{own}\n".encode())
    return sha.hexdigest()


@cache
def code_digest(*parts: str) -> str:
    """SHA-256 of source that a computation depends on, hex.

    Args:
        parts: files or folders below the package.
    """
    root, sha = Path(mri_guard.__path__[0]), hashlib.sha256()
    for part in parts:
        path = root / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            sha.update(file.read_bytes() + b"\0")
    return sha.hexdigest()
