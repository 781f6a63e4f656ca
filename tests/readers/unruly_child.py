"""A decoding child that does what hostile bytes make codecs do, by the name of the file."""

import ctypes
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mri_guard.readers import decoding_child
from mri_guard.readers.dicom_series import read_series
from mri_guard.records import Contrast, Scan


def misbehave(files: Sequence[Path], contrast: Contrast | None) -> Scan:
    name = files[0].name
    if name == "crash":
        ctypes.string_at(0)
    if name == "hang":
        time.sleep(600)
    if name == "spin":
        while True:
            pass
    if name == "swell":
        return np.ones(10**12)  # type: ignore[return-value]  # never gets that far
    if name == "babble":
        os.write(1, b"a codec prints to standard output\n" * 100)
    if name == "panic":
        raise BaseException("not an Exception, as a Rust panic is not")
    return read_series(files, contrast)


setattr(decoding_child, "read_series", misbehave)  # noqa: B010 - a name the module imports

if __name__ == "__main__":
    decoding_child.main()
