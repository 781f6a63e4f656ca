"""What can be wrong with a series whose files are each in order."""

from collections.abc import Callable

from mri_guard.evaluation.hostile.part10 import File

Edit = Callable[[list[File]], None]

POSITION, ORIENTATION = 0x00200032, 0x00200037
INSTANCE, META_INSTANCE = 0x00080018, 0x00020003


def one(tag: int, value: str, vr: bytes | None = None) -> Edit:
    """A value of one slice."""

    def edit(files: list[File]) -> None:
        files[len(files) // 2].set(tag, value, vr)

    return edit


def every(*values: tuple[int, str]) -> Edit:
    """Values of all slices."""

    def edit(files: list[File]) -> None:
        for file in files:
            for tag, value in values:
                file.set(tag, value)

    return edit


def every_other(*values: tuple[int, str]) -> Edit:
    """Values of every second slice: two acquisitions interleaved."""

    def edit(files: list[File]) -> None:
        every(*values)(files[::2])

    return edit


def keep(kept: slice) -> Edit:
    """Some of the slices."""

    def edit(files: list[File]) -> None:
        files[:] = files[kept]

    return edit


def slice_missing(files: list[File]) -> None:
    """A gap in the stack."""
    del files[len(files) // 3]


def uid_twice(files: list[File]) -> None:
    """Two images with one UID."""
    for tag in (INSTANCE, META_INSTANCE):
        files[3].set(tag, files[4].get(tag))


def two_images_at_a_place(files: list[File]) -> None:
    """A second, different image where a slice lies already."""
    files[5].set(POSITION, files[6].get(POSITION))


def second_echo(files: list[File]) -> None:
    """The same slices with a later echo."""
    half = len(files) // 2
    for early, late in zip(files[:half], files[half:], strict=False):
        late.set(POSITION, early.get(POSITION))
        late.set(0x00180081, "240")


def out_of_place(files: list[File]) -> None:
    """One half of the stack moved by a third of a slice."""
    spacing = float(files[0].get(0x00180088))
    for file in files[len(files) // 2 :]:
        x, y, z = (float(part) for part in file.get(POSITION).split(b"\\"))
        file.set(POSITION, f"{x:.4f}\\{y:.4f}\\{z + spacing / 3:.4f}")


def sheared(files: list[File]) -> None:
    """Each slice shifted against the one below."""
    for number, file in enumerate(files):
        x, y, z = (float(part) for part in file.get(POSITION).split(b"\\"))
        file.set(POSITION, f"{x:.4f}\\{y + 2 * number:.4f}\\{z:.4f}")


def smaller(files: list[File]) -> None:
    """One slice of another matrix."""
    files[7].pixels = files[7].pixels[::2, ::2]


SERIES_DEFECTS: tuple[tuple[str, tuple[str, ...], Edit], ...] = (
    ("patients-mixed", ("several-patients",), one(0x00100020, "SOMEBODY ELSE")),
    ("studies-mixed", ("several-studies",), one(0x0020000D, "1.2.3.4.5")),
    ("frames-of-reference-mixed", ("several-frames-of-reference",), one(0x00200052, "1.2.3.4.6")),
    ("uid-of-two-images", ("uid-collision",), uid_twice),
    ("slice-missing", ("slices-missing",), slice_missing),
    ("half-a-series", ("stack-too-short",), keep(slice(0, 12))),
    ("slices-few", ("too-few-slices",), keep(slice(8, 13))),
    ("slice-twice-different", ("slices-missing", "slices-conflict"), two_images_at_a_place),
    ("echoes-mixed", ("several-volumes", "acquisition-mixed"), second_echo),
    ("orientations-mixed", ("orientation-mixed",), one(ORIENTATION, "0\\1\\0\\0\\0\\-1")),
    ("spacing-uneven", ("uneven-spacing",), out_of_place),
    ("stack-sheared", ("slices-sheared",), sheared),
    ("matrix-mixed", ("acquisition-mixed", "matrix-mixed", "orientation-mixed"), smaller),
    (
        "repetitions-interleaved",
        ("acquisition-mixed",),
        every_other((0x00180080, "7000")),
    ),
    ("contrast-agent-in-some", ("acquisition-mixed",), every_other((0x00180010, "AGENT"))),
    ("field-impossible", ("physics-not-plausible",), every((0x00180087, "3000"))),
    ("flip-angle-impossible", ("physics-not-plausible",), every((0x00181314, "4000"))),
    (
        "frequency-of-another-field",
        ("physics-not-plausible",),
        every((0x00180084, "63.87"), (0x00180087, "3")),
    ),
    ("part-a-knee", ("body-part",), every((0x00180015, "KNEE"))),
    (
        "contrast-t1",
        ("contrast-not-in-bundle",),
        every(
            (0x0008103E, "AX T1 SE"),
            (0x00181030, "AX T1 SE"),
            (0x00180020, "SE"),
            (0x00180080, "500"),
            (0x00180081, "12"),
            (0x00180082, ""),
        ),
    ),
    (
        "contrast-contradicted",
        ("contrast-unknown",),
        every((0x0008103E, "AX T1"), (0x00181030, "AX T1")),
    ),
    (
        "contrast-unnamed",
        ("contrast-unknown", "contrast-not-in-bundle"),
        every((0x0008103E, "AX"), (0x00181030, "AX"), (0x00180080, ""), (0x00180081, "")),
    ),
    ("echo-planar", ("contrast-not-in-bundle",), every((0x00180020, "EP"))),
    (
        "a-localizer",
        ("contrast-not-in-bundle",),
        every((0x0008103E, "LOCALIZER"), (0x00181030, "LOCALIZER")),
    ),
    (
        "a-map-of-t1",
        ("contrast-unknown", "image-type"),
        every((0x00080008, "DERIVED\\PRIMARY\\T1 MAP")),
    ),
)
"""Name, reasons that name it rightly, and what is done to the series."""
