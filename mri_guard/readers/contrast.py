"""What a series is weighted by, from what its header says in words, in codes and in physics.

Three voices: the name somebody gave the series, Acquisition Contrast (Enhanced MR), and the
timing. Where two disagree, or none speaks, the answer is UNKNOWN: a wrong contrast would be scored
by a model that never saw it.
"""

import math
import re
from dataclasses import dataclass

from pydicom import Dataset

from mri_guard.readers.values import items, number, numbers, text
from mri_guard.records import Contrast

_ACQUISITION_CONTRAST = {
    "FLUID_ATTENUATED": Contrast.FLAIR,
    "T1": Contrast.T1,
    "T2": Contrast.T2,
    "PROTON_DENSITY": Contrast.PD,
    "DIFFUSION": Contrast.DIFFUSION,
    "PERFUSION": Contrast.PERFUSION,
}
"""Acquisition Contrast (0008,9209), PS3.3 section C.8.13.3.1.1; UNKNOWN and MIXED say nothing."""

NOT_WEIGHTED = re.compile(
    r"E?ADC.*|FA|FRACTIONAL.*|EXP|TRACEW?|M(AX|IN)?[ _]?IP.*|PROJECTION.*|PHASE.*|P|R|I|REAL|"
    r"IMAGINARY|SWI.*|MPR.*|T[12]\*?[ _]?(STAR)?[ _]?MAP|T2[ _]?STAR|R2.*|R?CB[FV]|MTT|TTP|UNI|"
    r"ANGIO|TOF|VELOCITY.*|FLOW.*|SUBTRACT.*|DIVISION|MULTIPLICATION|M(AX|IN)IMUM|STD_DEVIATION|"
    r"QUANTITY|METABOLITE.*|TEMPERATURE|TAGGING|STIR|DIXON|WATER|FAT|W|F|(IN|OUT|OPP)_?PHASE|"
    r"FIELD ?MAP|B[01]"
)
"""Values of Image Type (0008,0008) of images that are not plain weighted magnitude images.

PS3.3 section C.8.13.3.1 for Enhanced MR; for single-frame MR what Siemens (`P`, `W`, `UNI`), GE
(`PROJECTION IMAGE`), Philips (`PHASE MAP`, `T2 MAP`) and others write from value 3 on.
"""

_LOCALIZER = re.compile(
    r"\b(LOCALI[SZ]ERS?|LOC|SCOUT|SURVEY|AAHEAD|AAHSCOUT|3 ?PLANE|PILOT|SMART ?BRAIN|LOCATOR|"
    r"(ASSET|SENSE|SPEEDER) CAL\w*|CALIBRATION|REF(ERENCE)? SCAN|COIL ?(SURVEY|SENS\w*))\b"
)
"""`SmartBrain` and reference scans are Philips's, `ASSET cal` GE's, `locator` Canon's."""

_DIFFUSION = re.compile(r"\b(DWI|DTI|DIFF\w*|ADC|TRACEW?|HARDI|NODDI|DKI|IVIM|\*?EP_B\d+\w*)\b")
_PERFUSION = re.compile(r"\b(P?C?ASL|PERF\w*|DSC|DCE)\b")
_OTHER = re.compile(
    r"\b(T1 ?RHO\w*|T[12] ?MAP\w*|\w*MAP(PING)?|MP2RAGE|SWI|SWAN|QSM|TOF|MRA|MRV|ANGIO\w*|STIR|"
    r"T2 ?STAR|T2 ?S|PHASE|FIELD|B0|B1|GRE FIELD\w*|SPECTRO\w*|MIP|CISS|FIESTA|TRUFI|FSPGR FIESTA|"
    r"DIR|SUBTRACTION|MT|MTC|FMRI|BOLD|FSBB|MERGE|COSMIC|MEDIC|HEMO|B ?FFE|PSIR|S?3DI|"
    r"ELASTO\w*|MRE|QFLOW|FQ|TRANCE|INHANCE|CISTERN\w*|DRIVE CLEAR)\b|T2\*"
)
"""Susceptibility (`SWI`, GE `SWAN` and `MERGE`, Canon `FSBB`, Philips `VEN_BOLD`, Siemens `hemo`
and `MEDIC`), angiography (`TOF`, Philips `3DI`, GE `Inhance`), balanced and other contrasts.
"""

_FLAIR = re.compile(r"FLAIR|\b(DARK ?FLUID|TIRM DARK\w*|FLUID ?ATTENUATED|FLUID ATT\w*)\b")
_T1 = re.compile(r"\b([SEV]?T1\w*|MPRAGE|BRAVO|FSPGR|SPGR|TFL3D|3D ?TFE)\b")
_T2 = re.compile(r"\b[SEV]?T2\w*\b")
_PD = re.compile(r"\b(PD\w*|PROTON ?DENSITY)\b")


def contrast_of(dataset: Dataset) -> Contrast:
    """What the header says the images are weighted by; UNKNOWN in doubt.

    Reads Series Description (0008,103E), Protocol Name (0018,1030), Image Type (0008,0008),
    Scanning Sequence (0018,0020), Sequence Variant (0018,0021), Sequence Name (0018,0024),
    Repetition, Echo and Inversion Time (0018,0080/0081/0082), Flip Angle (0018,1314), and for
    Enhanced MR their functional groups, Echo Planar Pulse Sequence (0018,9018) and Acquisition
    Contrast (0008,9209).
    """
    words = _words(dataset)
    physics = _physics(dataset)
    if apart := _apart(dataset, words, physics):
        return apart
    coded = text(physics.frame_type, "AcquisitionContrast") or text(dataset, "AcquisitionContrast")
    if coded not in {*_ACQUISITION_CONTRAST, "", "UNKNOWN", "MIXED"}:
        return Contrast.UNKNOWN
    named = _named(words)
    if named is Contrast.T2 and physics.gradient:
        return Contrast.UNKNOWN  # T2*: Siemens `t2_fl2d`, Philips `T2W_FFE`
    return _agreement(named, _ACQUISITION_CONTRAST.get(coded), _timed(physics))


def settle(said: Contrast | None, read: Contrast) -> Contrast:
    """What the caller says and the header says, together; UNKNOWN where they disagree."""
    if said is None or said == read:
        return read
    return said if read is Contrast.UNKNOWN else Contrast.UNKNOWN


def contrast_of_name(name: str) -> Contrast | None:
    """What a file's name ends in says, as BIDS names files: `sub-1_FLAIR.nii.gz`, `x_t1.nii`."""
    suffix = re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE).rsplit("_", 1)[-1].upper()
    return {
        "FLAIR": Contrast.FLAIR,
        "T1": Contrast.T1,
        "T1W": Contrast.T1,
        "T2": Contrast.T2,
        "T2W": Contrast.T2,
        "PD": Contrast.PD,
        "PDW": Contrast.PD,
        "BOLD": Contrast.FUNCTIONAL,
        "DWI": Contrast.DIFFUSION,
        "ASL": Contrast.PERFUSION,
    }.get(suffix)


@dataclass(frozen=True, slots=True)
class _Physics:
    """Timing of a series, wherever its header keeps it; milliseconds and degrees."""

    frame_type: Dataset | None
    echo_planar: bool
    sequence: frozenset[str]
    variant: frozenset[str]
    repetition: float | None
    echo: float | None
    inversion: float | None
    flip: float | None

    @property
    def family(self) -> str:
        """IR, SE, GR (spoiled gradient echo with a flip angle that weights by T1) or nothing."""
        if self.inversion is not None:
            return "IR"
        if "SE" in self.sequence:
            return "SE"
        spoiled = "SP" in self.variant and "SS" not in self.variant
        return "GR" if "GR" in self.sequence and spoiled and (self.flip or 0) >= 7 else ""

    @property
    def short_inversion(self) -> bool:
        """An inversion that nulls fat (STIR), whatever the series is called: `t2_tirm_cor`."""
        return "GR" not in self.sequence and 80 <= (self.inversion or 0) <= 280

    @property
    def gradient(self) -> bool:
        """A gradient echo, and no spin echo besides."""
        return "GR" in self.sequence and "SE" not in self.sequence


@dataclass(frozen=True, slots=True)
class _Timing:
    """A range of timings, milliseconds, in which images are weighted by one thing."""

    contrast: Contrast
    family: str
    repetition: tuple[float, float]
    echo: tuple[float, float]
    inversion: tuple[float, float] = (0, math.inf)

    def fits(self, physics: _Physics) -> bool:
        return self.family == physics.family and all(
            low <= (value or 0) <= high
            for value, (low, high) in (
                (physics.repetition, self.repetition),
                (physics.echo, self.echo),
                (physics.inversion, self.inversion),
            )
        )


_TIMINGS = (
    _Timing(Contrast.FLAIR, "IR", (4000, 20000), (70, 700), (1500, 3200)),
    _Timing(Contrast.T1, "IR", (3, 4000), (0.5, 30), (300, 1400)),  # MPRAGE, BRAVO, T1 FLAIR
    _Timing(Contrast.T1, "GR", (3, 15), (0.5, 8)),  # above, time-of-flight angiography begins
    _Timing(Contrast.T1, "SE", (200, 1000), (3, 30)),
    _Timing(Contrast.T2, "SE", (1800, 20000), (70, 700)),
    _Timing(Contrast.PD, "SE", (1800, 20000), (3, 40)),
)
"""Ranges that 1.5 T and 3 T brain protocols use; what lies between them says nothing."""


def timing_of(dataset: Dataset) -> tuple[float | None, float | None, float | None]:
    """Repetition, echo and inversion time in milliseconds, of single-frame or Enhanced MR."""
    physics = _physics(dataset)
    return physics.repetition, physics.echo, physics.inversion


def functional_group(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a functional group macro, shared or of the first frame."""
    shared = items(dataset, "SharedFunctionalGroupsSequence")
    for group in (*shared[:1], *items(dataset, "PerFrameFunctionalGroupsSequence")[:1]):
        if found := items(group, keyword):
            return found[0]
    return None


def _physics(dataset: Dataset) -> _Physics:
    timing = functional_group(dataset, "MRTimingAndRelatedParametersSequence")
    echo = functional_group(dataset, "MREchoSequence")
    modifier = functional_group(dataset, "MRModifierSequence")
    inversions = numbers(modifier, "InversionTimes")
    sequence = frozenset(text(dataset, "ScanningSequence").split("\\"))
    echo_time = number(dataset, "EchoTime")
    return _Physics(
        frame_type=functional_group(dataset, "MRImageFrameTypeSequence"),
        echo_planar="EP" in sequence or text(dataset, "EchoPlanarPulseSequence") == "YES",
        sequence=sequence | frozenset(_enhanced_sequence(dataset)),
        variant=frozenset(text(dataset, "SequenceVariant").split("\\")),
        repetition=_first(number(timing, "RepetitionTime"), number(dataset, "RepetitionTime")),
        echo=_first(number(echo, "EffectiveEchoTime"), echo_time),
        inversion=_first(
            inversions[0] if inversions else None, number(dataset, "InversionTime") or None
        ),
        flip=_first(number(timing, "FlipAngle"), number(dataset, "FlipAngle")),
    )


def _enhanced_sequence(dataset: Dataset) -> set[str]:
    pulse = text(dataset, "EchoPulseSequence")
    return {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}.get(pulse, set())


def _first(*found: float | None) -> float | None:
    return next((value for value in found if value is not None), None)


def _words(dataset: Dataset) -> str:
    names = (text(dataset, "SeriesDescription"), text(dataset, "ProtocolName"))
    return re.sub(r"[\s_\-./\\:,;()\[\]+]+", " ", " ".join(names)).upper()


def _apart(dataset: Dataset, words: str, physics: _Physics) -> Contrast | None:
    """What is no plain weighted image: localizers, echo planar and derived images; else None."""
    image_type = [part.upper() for part in text(dataset, "ImageType").split("\\")]
    if _LOCALIZER.search(words) or "LOCALIZER" in image_type:
        return Contrast.LOCALIZER
    directions = text(functional_group(dataset, "MRDiffusionSequence"), "DiffusionDirectionality")
    diffusion = directions not in {"", "NONE"}
    named = f"{words} {text(dataset, 'SequenceName').upper()}"
    if diffusion or "DIFFUSION" in image_type or _DIFFUSION.search(named):
        return Contrast.DIFFUSION
    if "PERFUSION" in image_type or "ASL" in image_type or _PERFUSION.search(words):
        return Contrast.PERFUSION
    if physics.echo_planar:
        return Contrast.FUNCTIONAL
    derived = any(map(NOT_WEIGHTED.fullmatch, image_type))
    if (
        derived
        or physics.short_inversion
        or _OTHER.search(words)
        or text(dataset, "AngioFlag") == "Y"
    ):
        return Contrast.UNKNOWN
    return None


def _named(words: str) -> Contrast | None:
    """`T2 FLAIR` is FLAIR; GE's `T1 FLAIR` is T1, with an inversion time that nulls no fluid."""
    t1, flair = bool(_T1.search(words)), bool(_FLAIR.search(words))
    t2, density = bool(_T2.search(words)), bool(_PD.search(words))
    if sum((t1, t2, density)) > 1:
        return Contrast.UNKNOWN
    if t1:
        return Contrast.T1
    if flair:
        return Contrast.UNKNOWN if density else Contrast.FLAIR
    if t2:
        return Contrast.T2
    return Contrast.PD if density else None


def _timed(physics: _Physics) -> Contrast | None:
    """What the timing makes of tissue; None outside the ranges that protocols use."""
    if physics.repetition is None or physics.echo is None:
        return None
    for rule in _TIMINGS:
        if rule.fits(physics):
            return rule.contrast
    return None


def _agreement(*voices: Contrast | None) -> Contrast:
    """The one contrast that all who speak name.

    A FLAIR is a T2-weighted image, and many scanners code or time it as one (no inversion time
    given), so T2 does not contradict FLAIR.
    """
    spoken = {voice for voice in voices if voice is not None}
    if spoken == {Contrast.FLAIR, Contrast.T2}:
        return Contrast.FLAIR
    return spoken.pop() if len(spoken) == 1 else Contrast.UNKNOWN
