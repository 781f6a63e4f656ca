"""The closed vocabulary: the only words of a source that may come out again."""

import re


def terms(text: str) -> frozenset[str]:
    """The words of a text, apart from one another by spaces."""
    return frozenset(text.split())


ANATOMY = terms("HEAD BRAIN SKULL NECK HEADNECK ORBIT IAC PITUITARY")
"""Body Part Examined (0018,0015), of PS3.16 annex L what the kit has to do with."""

DESCRIPTION = terms(
    "AX AXIAL TRA TRANSVERSE SAG SAGITTAL COR CORONAL OBL 2D 3D HEAD BRAIN "
    "FLAIR T2FLAIR T1 T1W T2 T2W T2STAR PD PDW FS FATSAT SE TSE FSE GRE GR IR "
    "TIR TIRM STIR DARK FLUID "
    "MPRAGE MP2RAGE BRAVO FSPGR SPGR TFE TFL CUBE SPACE VISTA PROPELLER BLADE SWI SWAN QSM TOF MRA "
    "MRV ANGIO DWI DTI DIFF ADC TRACE TRACEW FA EP2D EPI ASL PCASL PASL PERF DSC DCE BOLD FMRI "
    "REST MAP PHASE MAG FIELD B0 B1 MIP MINIP MPR LOC LOCALIZER SCOUT SURVEY PILOT CISS FIESTA "
    "TRUFI DIR MT MTC PRE POST GD SUBTRACTION SPECTRO ISO THIN"
)
"""What Series Description and Protocol Name may still say."""

IMAGE_TYPE = terms(
    "ORIGINAL DERIVED PRIMARY SECONDARY OTHER NONE MIXED LOCALIZER AXIAL M P R I MAGNITUDE PHASE "
    "REAL IMAGINARY M_FFE M_SE M_IR R_IR PHASE_MAP ND NORM DIS2D DIS3D FM FIL FS MOSAIC MFSPLIT "
    "VOLUME ADC EADC FA EXP TRACEW DIFFUSION PERFUSION ASL MIP MINIP MPR SWI UNI CBF CBV MTT TTP "
    "DIXON WATER FAT SUBTRACT MAP PROJECTION RESAMPLED FIELD_MAP ANGIO ANGIO_TIME CINE DYNAMIC "
    "FLOW_ENCODED FLUID_ATTENUATED FMRI MAX_IP MIN_IP METABOLITE_MAP MULTIECHO PROTON_DENSITY "
    "REALTIME STIR TAGGING TEMPERATURE T1 T2 T2_STAR TOF VELOCITY MOTIONCORR MEAN AVERAGE "
    "T1_MAP T2_MAP VOXEL FFE SE TSE IR COMPOSED"
) | {"PROJECTION IMAGE", "T1 MAP", "T2 MAP", "T2_STAR MAP"}
"""Image Type and Frame Type, PS3.3 sections C.8.3.1.1.1 and C.8.13.3.1.1, and makers' own."""

MAKERS = {
    "SIEMENS": "SIEMENS",
    "GE": "GE MEDICAL SYSTEMS",
    "PHILIPS": "Philips",
    "CANON": "CANON",
    "TOSHIBA": "TOSHIBA",
    "HITACHI": "HITACHI",
    "FUJIFILM": "FUJIFILM",
    "UIH": "UIH",
    "BRUKER": "Bruker",
}
"""First word of Manufacturer (0008,0070) and what is written for it; UNKNOWN for all else."""

UNKNOWN = "UNKNOWN"

SEQUENCE_NAME = re.compile(
    r"\*?(tfl|fl|fm|se|tse|tir|tirB|spc|spcir|spcR|h|hb|ep|epse|epfid|de|swi|qfl|ci|tfi)"
    r"(2d|3d)?\d{0,4}(_\d{1,4})?(ns|ew|rs|r\d)?|\*?ep_b\d{1,4}(t|#\d{1,3})?|epi2?|phantom"
)
"""Sequence Name (0018,0024) as Siemens composes it: kernel, dimensions, echoes."""


def recognised(text: str) -> str:
    """The words of a free text that the vocabulary knows, in order, upper case, each once."""
    found = re.findall(r"[A-Z0-9]+", text.upper().replace("T2*", "T2STAR"))
    return " ".join(dict.fromkeys(word for word in found if word in DESCRIPTION))


def maker(text: str) -> str:
    """The known maker whom a Manufacturer begins with, else UNKNOWN."""
    first = (re.findall(r"[A-Z]+", text.upper()) or [""])[0]
    return MAKERS.get(first, UNKNOWN)
