"""Coverage-guided fuzzing of the header reader and the checks with atheris (extra `fuzz`).

`python -m tests.fuzz.coverage_guided CORPUS -max_total_time=600`; the corpus folder is made, and
filled with the clean files, when it is missing. libFuzzer keeps what finds new code and stops at
the first input that ends in anything but a named result.
"""

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mri_guard.readers", "mri_guard.sanitize", "pydicom"]):
    from mri_guard.determinism import generator
    from mri_guard.records import Contrast, Format, Source
    from mri_guard.sanitize import Sanitizer
    from tests.fuzz.mutate import mutate
    from tests.fuzz.seeds import seeds

CLEAN = [first for first, _ in seeds()]
SANITIZER = Sanitizer.for_contrasts(tuple(Contrast))
FILE = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)) / "file.dcm"


def one_input(content: bytes) -> None:
    """Raises where a file ends in anything but a named result."""
    FILE.write_bytes(content)
    results, _ = SANITIZER.check_headers(Source((FILE,), Format.DICOM))
    if results[-1].reason == "check-failed":
        raise RuntimeError(results[-1].detail)


def structured(content: bytes, max_size: int, seed: int) -> bytes:
    """Half of the time libFuzzer's own mutation, half of the time one that knows DICOM."""
    if seed % 2 or len(content) < 200:
        return bytes(atheris.Mutate(content, max_size))
    return mutate(content, generator(seed, "atheris"), CLEAN)[:max_size]


def main() -> None:
    """The command."""
    folder = Path(next((one for one in sys.argv[1:] if not one.startswith("-")), "var/fuzz-corpus"))
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(CLEAN):
        (folder / f"clean-{number}.dcm").write_bytes(content)
    options = [one for one in sys.argv[1:] if one.startswith("-")]
    atheris.Setup([sys.argv[0], str(folder), *options], one_input, custom_mutator=structured)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
