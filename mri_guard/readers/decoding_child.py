"""The child process in which untrusted bytes meet the codecs. See `decoder` for its parent.

Says `ready`, then reads one request a line from standard input, JSON: `{"format", "files",
"contrast"}`. Answers on standard output with a line of JSON and, when it succeeded, the voxels as
raw little-endian float32, first axis fastest. Ends when standard input does, so that it does not
outlive its parent.
"""

import json
import math
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mri_guard.errors import InputError, LimitError, UnreadableError
from mri_guard.readers.dicom_series import read_series
from mri_guard.readers.nifti import read_nifti
from mri_guard.records import Contrast, Format, Scan


def decode(request: dict[str, Any]) -> Scan:
    """The scan that a request asks for.

    Raises:
        InputError: what was asked for cannot be decoded.
    """
    said = request["contrast"]
    contrast = Contrast(said) if said is not None else None
    files = [Path(name) for name in request["files"]]
    try:
        if request["format"] == Format.NIFTI:
            return read_nifti(files[0], contrast)
        return read_series(files, contrast)
    except InputError:
        raise
    except MemoryError as failure:
        raise LimitError("decoder-memory", "decoding needs more memory than allowed") from failure
    except Exception as failure:
        raise UnreadableError("does-not-decode", type(failure).__name__) from failure


def serve(requests: BinaryIO, answers: BinaryIO, seconds: float) -> None:
    """Says that it is ready, then answers requests until there are no more."""
    answers.write(b"ready\n")
    answers.flush()
    for line in requests:
        _limit_time(seconds)
        try:
            scan = decode(json.loads(line))
        except InputError as error:
            failed = {"error": type(error).__name__, "reason": error.reason, "detail": error.detail}
            answers.write(json.dumps(failed).encode() + b"\n")
            answers.flush()
            _rest()
            continue
        voxels = scan.voxels.astype("<f4", copy=False)
        answer = {
            "shape": voxels.shape,
            "affine": scan.affine.tolist(),
            "header": scan.header.model_dump(mode="json"),
        }
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.write(np.ascontiguousarray(voxels.T).data.cast("B"))
        answers.flush()
        _rest()


def _limit_time(seconds: float) -> None:
    """The next request's processor and wall-clock time; the kernel ends what exceeds it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    processor = math.ceil(used.ru_utime + used.ru_stime + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (processor, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_REAL, 2 * seconds + 1)


def _rest() -> None:
    """No alarm while waiting for the next request."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Limits itself, then serves: `decoding_child MEMORY_MB SECONDS`."""
    memory = int(sys.argv[1]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # Codecs print to standard output; the parent must read nothing that a codec wrote.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers, float(sys.argv[2]))


if __name__ == "__main__":
    main()
