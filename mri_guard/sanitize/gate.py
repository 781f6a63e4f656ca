"""All that stands before the model, in one call."""

import time

from mri_guard.errors import InputError
from mri_guard.ports import Decoder, Sanitizer
from mri_guard.records import CheckResult, Source

DECODE = "decode"
"""Name of the decoder's result among those of the checks."""


def sanitize(source: Source, sanitizer: Sanitizer, decoder: Decoder) -> tuple[CheckResult, ...]:
    """Results of header and series checks, of decoding and of voxel checks, up to the first no.

    Raises:
        OSError: a file cannot be opened.
    """
    results, _ = sanitizer.check_headers(source)
    if not all(result.passed for result in results):
        return results
    start = time.perf_counter()
    try:
        scan = decoder(source)
    except InputError as error:
        refused = {"passed": False, "reason": error.reason, "detail": error.detail}
    else:
        refused = {"passed": True}
    elapsed = (time.perf_counter() - start) * 1000
    results += (CheckResult.model_validate({"name": DECODE, "milliseconds": elapsed, **refused}),)
    return results + sanitizer.check_voxels(scan) if results[-1].passed else results
