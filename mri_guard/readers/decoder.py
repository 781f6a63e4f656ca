"""Decodes away from this process: codecs crash, hang and swell on hostile bytes.

A warm child process decodes one source at a time within limits of memory, processor and wall-clock
time. It gets no secrets in its environment and cannot write files. What comes back is a line of
JSON and raw numbers, both checked; nothing is unpickled. A child that died or was too slow is
replaced, and the next source finds a new one.
"""

import json
import math
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from mri_guard.errors import InputError, LimitError, SeriesError, SettingsError, UnreadableError
from mri_guard.records import Scan, ScanHeader, Source

_ERRORS: dict[str, type[InputError]] = {
    error.__name__: error for error in (UnreadableError, LimitError, SeriesError, InputError)
}
_KEPT_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
_START_SECONDS = 120.0
_MAX_ANSWER_LINE = 1 << 20
_CPU_LIMIT_SIGNALS = (-24, -14)
"""SIGXCPU and SIGALRM: the kernel ended a child that used up its time."""


class Decoder:
    """A `ports.Decoder` that keeps one child process warm.

    Args:
        memory_mb: address space of the child, MiB; about 700 of it are the interpreter and codecs.
        seconds: processor and wall-clock time for one source.
        child: the module to run; another one only in tests.
    """

    def __init__(
        self,
        memory_mb: int = 4096,
        seconds: float = 60.0,
        child: str = "mri_guard.readers.decoding_child",
    ) -> None:
        self._memory_mb = memory_mb
        self._seconds = seconds
        self._module = child
        self._lock = threading.Lock()
        self._closed = False
        self._child, self._finalizer = self._start()

    def __call__(self, source: Source, /) -> Scan:
        """The volume of a source.

        Raises:
            UnreadableError: it does not decode, or the codec died of it (`decoder-died`).
            LimitError: it takes more time (`decoder-timeout`) or memory than allowed.
            SeriesError: its frames do not make up one volume.
            SettingsError: the child process cannot be started.
        """
        request = {
            "format": source.format,
            "files": [os.fspath(Path(file).absolute()) for file in source.files],
            "contrast": source.contrast,
        }
        with self._lock:
            if self._closed:
                raise RuntimeError("the decoder is closed")
            if self._child.poll() is not None:
                self._replace()
            self._await_start()
            try:
                return self._ask(request)
            except LimitError:
                self._replace()  # whatever it holds on to goes with it
                raise
            except _DiedError as died:
                code = self._ended()
                self._replace()
                if code in _CPU_LIMIT_SIGNALS:
                    raise self._too_slow() from died
                detail = f"the decoding process ended with status {code}"
                raise UnreadableError("decoder-died", detail) from died

    @property
    def pid(self) -> int:
        """Process id of the child that decodes next."""
        return self._child.pid

    def close(self) -> None:
        """Ends the child; the decoder cannot be used again."""
        with self._lock:
            self._closed = True
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _start(self) -> "tuple[subprocess.Popen[bytes], weakref.finalize[Any, Self]]":
        self._ready = False
        environment = {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}
        # One thread: each further one of the BLAS costs address space that codecs could use.
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        limits = (str(self._memory_mb), str(self._seconds))
        child = subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-P", "-m", self._module, *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # codecs quote what they read
            env=environment,
            bufsize=0,
        )
        # A decoder that is dropped, or still open when the interpreter ends, takes its child along.
        return child, weakref.finalize(self, _end, child)

    def _replace(self) -> None:
        self._finalizer()
        self._child, self._finalizer = self._start()

    def _ended(self) -> int:
        """The status of a child that closed its end; it is helped along if it lingers."""
        try:
            return self._child.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._child.kill()
            return self._child.wait()

    def _await_start(self) -> None:
        """Imports are not the scan's fault: its time begins when the child says it is ready."""
        if self._ready:
            return
        pipe = _Pipe(self._child, time.monotonic() + _START_SECONDS, _not_started)
        try:
            pipe.line()
        except _DiedError as died:
            raise _not_started() from died
        self._ready = True

    def _too_slow(self) -> LimitError:
        return LimitError("decoder-timeout", f"decoding took more than {self._seconds:g} s")

    def _ask(self, request: dict[str, Any]) -> Scan:
        pipe = _Pipe(self._child, time.monotonic() + self._seconds, self._too_slow)
        pipe.write(json.dumps(request).encode() + b"\n")
        try:
            answer = json.loads(pipe.line())
            if "error" in answer:
                kind = _ERRORS[answer["error"]]
                raise kind(str(answer["reason"]), str(answer["detail"]))
            shape = tuple(int(length) for length in answer["shape"])
            affine = np.array(answer["affine"], dtype=np.float64)
            header = ScanHeader.model_validate(answer["header"])
            if len(shape) != 3 or min(shape) < 1 or affine.shape != (4, 4):
                raise ValueError("no volume")
        except (KeyError, TypeError, ValueError) as failure:
            # Whoever wrote this is no longer the child that was started.
            raise _DiedError from failure
        if math.prod(shape) * 4 > self._memory_mb * 2**20:
            raise LimitError("decoder-memory", f"a volume of {shape} voxels is over the limit")
        voxels = np.empty(shape, dtype="<f4", order="F")
        pipe.fill(voxels.T.data.cast("B"))
        return Scan(voxels, affine, header)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()


def _not_started() -> SettingsError:
    return SettingsError(f"the decoding process did not start within {_START_SECONDS:g} s")


class _DiedError(Exception):
    """The child closed its end, or no longer makes sense."""


class _Pipe:
    """The child's ends of the conversation, with one deadline for all of it."""

    def __init__(
        self, child: subprocess.Popen[bytes], deadline: float, late: Callable[[], Exception]
    ) -> None:
        if child.stdin is None or child.stdout is None:
            raise _DiedError
        self._to, self._from = child.stdin.fileno(), child.stdout.fileno()
        self._deadline = deadline
        self._late = late
        self._ahead = b""

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._wait(self._to, selectors.EVENT_WRITE)
            try:
                # A pipe that is ready takes this much without blocking.
                view = view[os.write(self._to, view[:4096]) :]
            except BrokenPipeError as gone:
                raise _DiedError from gone

    def line(self) -> bytes:
        while b"\n" not in self._ahead:
            self._wait(self._from, selectors.EVENT_READ)
            read = os.read(self._from, 1 << 16)
            if not read:
                raise _DiedError
            self._ahead += read
            if len(self._ahead) > _MAX_ANSWER_LINE:
                raise _DiedError
        line, self._ahead = self._ahead.split(b"\n", 1)
        return line

    def fill(self, into: memoryview) -> None:
        """Reads exactly as many bytes as `into` holds."""
        start = min(len(self._ahead), len(into))
        into[:start] = self._ahead[:start]
        into = into[start:]
        while into:
            self._wait(self._from, selectors.EVENT_READ)
            count = os.readv(self._from, [into])
            if count == 0:
                raise _DiedError
            into = into[count:]

    def _wait(self, end: int, event: int) -> None:
        with selectors.PollSelector() as selector:
            selector.register(end, event)
            if not selector.select(max(0.0, self._deadline - time.monotonic())):
                raise self._late()
