"""Mutated files through the checks and the readers: `python -m tests.fuzz.run -n 200000`.

File i is a function of the seed and i alone. Interrupted, the same call goes on where it stopped.
What ends in any other way than a named result is written to the folder, with its number.
"""

import argparse
import json
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.progress import track

from mri_guard.determinism import generator
from mri_guard.errors import InputError
from mri_guard.readers import Decoder
from mri_guard.records import Contrast, Format, Source
from mri_guard.sanitize import Sanitizer
from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import seeds

SECONDS = 5.0
"""Limit of the decoder."""

SLACK_SECONDS = 15.0
"""Over the limit, for a child that is started anew on a busy machine."""

SAVE_EVERY = 500


@dataclass(slots=True)
class Tally:
    """What has become of the files so far.

    Attributes:
        done: files.
        decoded: of them, files that went to the decoder too.
        crashes: number of each file that ended in anything but a named result, and its error.
        hangs: numbers of files that took longer than the limits.
        slowest_ms: of header checks.
        slowest_decode_s: of decoding.
        reasons: how files ended, by family.
        peak_mb: resident memory of this process, MiB.
    """

    done: int = 0
    decoded: int = 0
    crashes: dict[str, str] = field(default_factory=dict)
    hangs: list[int] = field(default_factory=list)
    slowest_ms: float = 0.0
    slowest_decode_s: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)
    peak_mb: float = 0.0

    def count(self, reason: str) -> None:
        """One more file that ended so."""
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


def fuzz(
    folder: Path,
    n: int,
    seed: int,
    *,
    show_progress: bool = False,
    mutation: Callable[..., bytes] = mutate,
) -> Tally:
    """The tally after n files; what lies in the folder from an interrupted call is gone on with.

    Args:
        folder: for the file at hand, the state, and what went wrong; made when missing.
        n: files.
        seed: root seed.
        show_progress: a bar on the terminal.
        mutation: as `mutate`; another one only in tests.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"state-{seed}.json"
    tally = Tally(**json.loads(state.read_text())) if state.exists() else Tally()
    clean = seeds()
    others = [first for first, _ in clean]
    sanitizer = Sanitizer.for_contrasts(tuple(Contrast))
    broken, neighbour = folder / "broken.dcm", folder / "neighbour.dcm"
    with Decoder(seconds=SECONDS) as decoder:
        for number in track(range(tally.done, n), "fuzzing", disable=not show_progress):
            rng = generator(seed, "fuzz", number)
            first, second = clean[number % len(clean)]
            broken.write_bytes(mutation(first, rng, others))
            neighbour.write_bytes(second)
            try:
                accepted = _headers(broken, sanitizer, tally, number)
                if accepted or number % 4 == 0:
                    _decode((broken, neighbour), decoder, sanitizer, tally, number)
            except Exception as error:  # noqa: BLE001 - what the fuzzer is there to find
                tally.crashes[str(number)] = repr(error)
                (folder / f"crash-{seed}-{number}.dcm").write_bytes(broken.read_bytes())
            tally.done = number + 1
            if tally.done % SAVE_EVERY == 0 or tally.done == n:
                tally.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                state.write_text(json.dumps(asdict(tally), indent=1))
    return tally


def _headers(path: Path, sanitizer: Sanitizer, tally: Tally, number: int) -> bool:
    """Whether all header checks let the file pass."""
    start = time.perf_counter()
    results, _ = sanitizer.check_headers(Source((path,), Format.DICOM))
    elapsed = time.perf_counter() - start
    tally.slowest_ms = max(tally.slowest_ms, elapsed * 1000)
    if elapsed > SECONDS:
        tally.hangs.append(number)
    last = results[-1]
    if last.reason == "check-failed":  # fails closed, but no check should need that
        raise RuntimeError(last.detail)
    tally.count(f"header: {last.reason or 'accepted'}")
    families = {check.name for check in sanitizer.header_checks}
    return last.passed or last.name not in families


def _decode(
    files: tuple[Path, Path], decoder: Decoder, sanitizer: Sanitizer, tally: Tally, number: int
) -> None:
    start = time.perf_counter()
    try:
        last = sanitizer.check_voxels(decoder(Source(files, Format.DICOM)))[-1]
        if last.reason == "check-failed":
            raise RuntimeError(last.detail)
        tally.count("decoder: decoded")
    except InputError as error:
        tally.count(f"decoder: {error.reason}")
    elapsed = time.perf_counter() - start
    tally.decoded += 1
    tally.slowest_decode_s = max(tally.slowest_decode_s, elapsed)
    if elapsed > SECONDS + SLACK_SECONDS:
        tally.hangs.append(number)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=200_000, help="files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("var/fuzz"))
    wanted = parser.parse_args()
    tally = fuzz(wanted.out, wanted.n, wanted.seed, show_progress=True)
    told = asdict(tally) | {"reasons": dict(Counter(tally.reasons).most_common())}
    print(json.dumps(told, indent=1))  # noqa: T201 - the outcome
    raise SystemExit(bool(tally.crashes or tally.hangs))


if __name__ == "__main__":
    main()
