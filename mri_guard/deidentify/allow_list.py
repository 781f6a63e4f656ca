"""Every attribute that may come out of a de-identified MR image, and what becomes of its value.

What is not listed is dropped: so are private attributes, overlays, curves, icons, signatures and
every sequence that is not listed with its own list. Keywords and modules as in PS3.3 sections A.4
(MR Image) and A.36 (Enhanced MR Image); docs/deidentification.md sets them beside PS3.15 table
E.1-1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mri_guard.deidentify import words
from mri_guard.deidentify.rules import (
    Always,
    Decimals,
    Integers,
    Matching,
    Rule,
    Tags,
    Terms,
    age,
    always_keyed,
    description,
    keyed,
    known_maker,
    moved_date,
    moved_time,
    pseudonym,
    registered,
)


@dataclass(frozen=True, slots=True)
class Items:
    """A sequence whose items have an allow-list of their own; an item left empty is dropped."""

    allowed: Mapping[str, "Rule | Items"]


AllowList = Mapping[str, Rule | Items]


def _terms(text: str, other: str = "") -> Terms:
    return Terms(words.terms(text), other)


def _real(low: float, high: float, most: int = 1) -> Decimals:
    return Decimals(low, high, (1, most), as_text=False)


_EMPTY = Always("")
_YES_NO = _terms("YES NO")
_IMAGE_TYPE = Terms(words.IMAGE_TYPE, "OTHER")
_MILLISECONDS = Decimals(0, 1e6)
_POSITION = Decimals(-1e5, 1e5, (3, 3))
_COSINES = Decimals(-1.01, 1.01, (6, 6))
_SPACING = Decimals(0, 1e3, (2, 2))
_LENGTH = Decimals(0, 1e4)
_ANY_REAL = Decimals(-1e12, 1e12)
_PIXEL = Integers(-(2**15), 2**16 - 1)
_STACK = re.compile(r"\d{1,4}", re.ASCII)

_REFERENCE: AllowList = {
    "ReferencedSOPClassUID": registered,
    "ReferencedSOPInstanceUID": always_keyed,
    "ReferencedFrameNumber": Integers(1, 100_000, (1, 4096)),
}

_PATIENT_STUDY: AllowList = {
    "StudyInstanceUID": always_keyed,
    "StudyDate": moved_date,
    "StudyTime": _EMPTY,
    "AccessionNumber": _EMPTY,
    "ReferringPhysicianName": _EMPTY,
    "StudyID": _EMPTY,
    "PatientName": pseudonym,
    "PatientID": pseudonym,
    "PatientBirthDate": _EMPTY,
    "PatientSex": _terms("M F O"),
    "PatientAge": age,
}

_SERIES: AllowList = {
    "SeriesInstanceUID": always_keyed,
    "SeriesDate": moved_date,
    "Modality": _terms("MR"),
    "Manufacturer": known_maker,
    "SeriesDescription": description,
    "ProtocolName": description,
    "SeriesNumber": Integers(0, 99_999),
    "Laterality": _terms("L R"),
    "BodyPartExamined": Terms(words.ANATOMY),
    "PatientPosition": _terms("HFS HFP HFDR HFDL FFS FFP FFDR FFDL"),
    "FrameOfReferenceUID": keyed,
    "PositionReferenceIndicator": _EMPTY,
}

_IMAGE: AllowList = {
    "ImageType": _IMAGE_TYPE,
    "SOPClassUID": registered,
    "SOPInstanceUID": always_keyed,
    "AcquisitionDate": moved_date,
    "ContentDate": moved_date,
    "InstanceNumber": Integers(0, 999_999),
    "AcquisitionNumber": Integers(0, 99_999),
    "ReferencedImageSequence": Items(_REFERENCE),
    "SourceImageSequence": Items(_REFERENCE),
    "QualityControlImage": _YES_NO,
    "BurnedInAnnotation": _YES_NO,
    "LossyImageCompression": _terms("00 01"),
    "LossyImageCompressionRatio": Decimals(0, 1e6, (1, 8)),
    "LossyImageCompressionMethod": _terms("ISO_10918_1 ISO_14495_1 ISO_15444_1"),
    "SamplesPerPixel": Integers(1, 1),
    "PhotometricInterpretation": _terms("MONOCHROME1 MONOCHROME2"),
    "NumberOfFrames": Integers(1, 100_000),
    "Rows": Integers(1, 65535),
    "Columns": Integers(1, 65535),
    "BitsAllocated": Integers(1, 64),
    "BitsStored": Integers(1, 64),
    "HighBit": Integers(0, 63),
    "PixelRepresentation": Integers(0, 1),
    "SmallestImagePixelValue": _PIXEL,
    "LargestImagePixelValue": _PIXEL,
    "PixelPaddingValue": _PIXEL,
    "WindowCenter": Decimals(-1e12, 1e12, (1, 8)),
    "WindowWidth": Decimals(0, 1e12, (1, 8)),
    "RescaleIntercept": _ANY_REAL,
    "RescaleSlope": _ANY_REAL,
    "RescaleType": Always("US"),
    "PresentationLUTShape": _terms("IDENTITY INVERSE"),
    "PixelSpacing": _SPACING,
    "ImagePositionPatient": _POSITION,
    "ImageOrientationPatient": _COSINES,
    "SliceLocation": Decimals(-1e5, 1e5),
    "SliceThickness": _LENGTH,
    "SpacingBetweenSlices": Decimals(-1e4, 1e4),
}

_MR: AllowList = {
    "ScanningSequence": _terms("SE IR GR EP RM"),
    "SequenceVariant": _terms("SK MTC SS TRSS SP MP OSP NONE", "NONE"),
    "ScanOptions": _terms("PER RG CG PPG FC PFF PFP SP FS CT SAT1 SAT2 IR DB ACC_GEMS FAST_GEMS"),
    "SequenceName": Matching(words.SEQUENCE_NAME),
    "MRAcquisitionType": _terms("2D 3D"),
    "AngioFlag": _terms("Y N"),
    "RepetitionTime": _MILLISECONDS,
    "EchoTime": _MILLISECONDS,
    "InversionTime": _MILLISECONDS,
    "TriggerTime": _MILLISECONDS,
    "NumberOfAverages": Decimals(0, 1e4),
    "ImagingFrequency": Decimals(0, 1e4),
    "ImagedNucleus": _terms("1H"),
    "EchoNumbers": Integers(0, 4096, (1, 64)),
    "MagneticFieldStrength": Decimals(0, 3e5),  # some old scanners give gauss
    "NumberOfPhaseEncodingSteps": Integers(0, 4096),
    "EchoTrainLength": Integers(0, 4096),
    "PercentSampling": Decimals(0, 1000),
    "PercentPhaseFieldOfView": Decimals(0, 1000),
    "PixelBandwidth": Decimals(0, 1e7),
    "ReconstructionDiameter": _LENGTH,
    "AcquisitionMatrix": Integers(0, 4096, (4, 4)),
    "InPlanePhaseEncodingDirection": _terms("ROW COL COLUMN OTHER"),
    "FlipAngle": Decimals(-360, 360),
    "VariableFlipAngleFlag": _terms("Y N"),
    "SAR": Decimals(0, 1e3),
    "dBdt": Decimals(0, 1e6),
    "ImagesInAcquisition": Integers(0, 100_000),
    "TemporalPositionIdentifier": Integers(0, 100_000),
    "NumberOfTemporalPositions": Integers(0, 100_000),
    "TemporalResolution": _MILLISECONDS,
    "DiffusionBValue": _real(0, 1e5),
    "DiffusionGradientOrientation": Decimals(-1.01, 1.01, (3, 3), as_text=False),
}

SINGLE_FRAME: AllowList = {**_PATIENT_STUDY, **_SERIES, **_IMAGE, **_MR}
"""MR Image Storage."""

_FRAME_TYPE: AllowList = {
    "PixelPresentation": _terms("MONOCHROME COLOR MIXED TRUE_COLOR"),
    "VolumetricProperties": _terms("VOLUME SAMPLED DISTORTED MIXED"),
    "VolumeBasedCalculationTechnique": _terms(
        "MAX_IP MIN_IP VOLUME_RENDER SURFACE_RENDER MPR CURVED_MPR NONE MIXED", "NONE"
    ),
    "ComplexImageComponent": _terms("MAGNITUDE PHASE REAL IMAGINARY MIXED"),
    "AcquisitionContrast": _terms(
        "DIFFUSION FLOW_ENCODED FLUID_ATTENUATED PERFUSION PROTON_DENSITY STIR TAGGING T1 T2 "
        "T2_STAR TOF UNKNOWN MIXED",
        "UNKNOWN",
    ),
}

_FUNCTIONAL_GROUPS: AllowList = {
    "PixelMeasuresSequence": Items(
        {
            "PixelSpacing": _SPACING,
            "SliceThickness": _LENGTH,
            "SpacingBetweenSlices": Decimals(-1e4, 1e4),
        }
    ),
    "PlanePositionSequence": Items({"ImagePositionPatient": _POSITION}),
    "PlaneOrientationSequence": Items({"ImageOrientationPatient": _COSINES}),
    "FrameContentSequence": Items(
        {
            "FrameAcquisitionNumber": Integers(0, 4096),
            "FrameReferenceDateTime": moved_time,
            "FrameAcquisitionDateTime": moved_time,
            "FrameAcquisitionDuration": _real(0, 1e9),
            "DimensionIndexValues": Integers(0, 100_000, (1, 16)),
            "TemporalPositionIndex": Integers(0, 100_000),
            "StackID": Matching(_STACK),
            "InStackPositionNumber": Integers(0, 100_000),
        }
    ),
    "PixelValueTransformationSequence": Items(
        {"RescaleIntercept": _ANY_REAL, "RescaleSlope": _ANY_REAL, "RescaleType": Always("US")}
    ),
    "FrameVOILUTSequence": Items(
        {
            "WindowCenter": Decimals(-1e12, 1e12, (1, 8)),
            "WindowWidth": Decimals(0, 1e12, (1, 8)),
        }
    ),
    "FrameAnatomySequence": Items(
        {
            "FrameLaterality": _terms("U R L B"),
            "AnatomicRegionSequence": Items(
                {
                    "CodeValue": _terms("12738006 69536005 T-A0100 T-D1100"),
                    "CodingSchemeDesignator": _terms("SCT SRT SNM3"),
                    "CodeMeaning": _terms("Brain Head"),
                }
            ),
        }
    ),
    "MRImageFrameTypeSequence": Items({"FrameType": _IMAGE_TYPE, **_FRAME_TYPE}),
    "MRTimingAndRelatedParametersSequence": Items(
        {
            "RepetitionTime": _MILLISECONDS,
            "FlipAngle": Decimals(-360, 360),
            "EchoTrainLength": Integers(0, 4096),
            "RFEchoTrainLength": Integers(0, 4096),
            "GradientEchoTrainLength": Integers(0, 4096),
            "SpecificAbsorptionRateSequence": Items(
                {
                    "SpecificAbsorptionRateDefinition": _terms(
                        "IEC_WHOLE_BODY IEC_PARTIAL_BODY IEC_HEAD IEC_LOCAL"
                    ),
                    "SpecificAbsorptionRateValue": _real(0, 1e3),
                }
            ),
            "OperatingModeSequence": Items(
                {
                    "OperatingModeType": Terms(frozenset({"STATIC FIELD", "RF", "GRADIENT"})),
                    "OperatingMode": _terms("IEC_NORMAL IEC_FIRST_LEVEL IEC_SECOND_LEVEL"),
                }
            ),
        }
    ),
    "MREchoSequence": Items({"EffectiveEchoTime": _real(0, 1e6)}),
    "MRModifierSequence": Items(
        {
            "InversionRecovery": _YES_NO,
            "InversionTimes": _real(0, 1e6, 64),
            "FlowCompensation": _terms("ACCELERATION VELOCITY OTHER NONE"),
            "Spoiling": _terms("RF GRADIENT RF_AND_GRADIENT NONE"),
            "T2Preparation": _YES_NO,
            "SpectrallySelectedExcitation": _terms("WATER FAT NONE"),
            "SpatialPresaturation": _terms("SLAB NONE"),
            "PartialFourier": _YES_NO,
            "PartialFourierDirection": _terms("PHASE FREQUENCY SLICE_SELECT COMBINATION"),
            "ParallelAcquisition": _YES_NO,
            "ParallelAcquisitionTechnique": _terms("PILS SENSE SMASH OTHER", "OTHER"),
            "ParallelReductionFactorInPlane": _real(0, 1e3),
            "ParallelReductionFactorOutOfPlane": _real(0, 1e3),
        }
    ),
    "MRFOVGeometrySequence": Items(
        {
            "InPlanePhaseEncodingDirection": _terms("ROW COLUMN OTHER"),
            "MRAcquisitionFrequencyEncodingSteps": Integers(0, 4096),
            "MRAcquisitionPhaseEncodingStepsInPlane": Integers(0, 4096),
            "MRAcquisitionPhaseEncodingStepsOutOfPlane": Integers(0, 4096),
            "PercentSampling": Decimals(0, 1000),
            "PercentPhaseFieldOfView": Decimals(0, 1000),
        }
    ),
    "MRAveragesSequence": Items({"NumberOfAverages": Decimals(0, 1e4)}),
    "MRImagingModifierSequence": Items(
        {
            "MagnetizationTransfer": _terms("ON_RESONANCE OFF_RESONANCE BOTH NONE"),
            "BloodSignalNulling": _YES_NO,
            "Tagging": _terms("GRID LINE NONE"),
            "TransmitterFrequency": _real(0, 1e4),
            "PixelBandwidth": Decimals(0, 1e7),
        }
    ),
    "MRReceiveCoilSequence": Items(
        {
            "ReceiveCoilName": Always(words.UNKNOWN),
            "ReceiveCoilManufacturerName": _EMPTY,
            "ReceiveCoilType": _terms("BODY VOLUME SURFACE MULTICOIL"),
            "QuadratureReceiveCoil": _YES_NO,
        }
    ),
    "MRTransmitCoilSequence": Items(
        {
            "TransmitCoilName": Always(words.UNKNOWN),
            "TransmitCoilManufacturerName": _EMPTY,
            "TransmitCoilType": _terms("BODY VOLUME SURFACE"),
        }
    ),
    "MRDiffusionSequence": Items(
        {
            "DiffusionBValue": _real(0, 1e5),
            "DiffusionDirectionality": _terms("DIRECTIONAL BMATRIX ISOTROPIC NONE"),
            "DiffusionGradientDirectionSequence": Items(
                {"DiffusionGradientOrientation": Decimals(-1.01, 1.01, (3, 3), as_text=False)}
            ),
        }
    ),
}

_ENHANCED: AllowList = {
    **_FRAME_TYPE,
    "ContentTime": Always("000000"),  # must have a value here
    "AcquisitionDateTime": moved_time,
    "AcquisitionDuration": _real(0, 1e9),
    "ManufacturerModelName": Always(words.UNKNOWN),
    "DeviceSerialNumber": Always(words.UNKNOWN),
    "SoftwareVersions": Always(words.UNKNOWN),
    "ContentQualification": _terms("PRODUCT RESEARCH SERVICE"),
    "ResonantNucleus": _terms("1H"),
    "ApplicableSafetyStandardAgency": _terms("IEC FDA MHW"),
    "AcquisitionContextSequence": Items({}),
    "PulseSequenceName": Always(words.UNKNOWN),
    "KSpaceFiltering": _terms(
        "COSINE COSINE_SQUARED FERMI GAUSSIAN HAMMING HANNING LORENTZIAN LRNTZ_GSS_TRNSFM RIESZ "
        "TUKEY USER_DEFINED NONE",
        "USER_DEFINED",
    ),
    "EchoPulseSequence": _terms("SPIN GRADIENT BOTH"),
    "EchoPlanarPulseSequence": _YES_NO,
    "MultipleSpinEcho": _YES_NO,
    "MultiPlanarExcitation": _YES_NO,
    "PhaseContrast": _YES_NO,
    "TimeOfFlightContrast": _YES_NO,
    "SteadyStatePulseSequence": _terms(
        "FREE_PRECESSION TRANSVERSE TIME_REVERSED LONGITUDINAL NONE"
    ),
    "SaturationRecovery": _YES_NO,
    "SpectrallySelectedSuppression": _terms("FAT WATER FAT_AND_WATER SILICON_GEL NONE"),
    "GeometryOfKSpaceTraversal": _terms("RECTILINEAR RADIAL SPIRAL"),
    "SegmentedKSpaceTraversal": _terms("SINGLE PARTIAL FULL"),
    "RectilinearPhaseEncodeReordering": _terms(
        "LINEAR CENTRIC SEGMENTED REVERSE_LINEAR REVERSE_CENTRIC UNKNOWN"
    ),
    "OversamplingPhase": _terms("2D 3D 2D_3D NONE"),
    "CoverageOfKSpace": _terms("FULL CYLINDRICAL ELLIPSOIDAL WEIGHTED"),
    "NumberOfKSpaceTrajectories": Integers(0, 4096),
    "DimensionOrganizationType": _terms("3D 3D_TEMPORAL TILED_FULL TILED_SPARSE"),
    "DimensionOrganizationSequence": Items({"DimensionOrganizationUID": always_keyed}),
    "DimensionIndexSequence": Items(
        {
            "DimensionOrganizationUID": always_keyed,
            "DimensionIndexPointer": Tags(),
            "FunctionalGroupPointer": Tags(),
        }
    ),
    "SharedFunctionalGroupsSequence": Items(_FUNCTIONAL_GROUPS),
    "PerFrameFunctionalGroupsSequence": Items(_FUNCTIONAL_GROUPS),
}

MULTI_FRAME: AllowList = {**SINGLE_FRAME, **_ENHANCED}
"""Enhanced MR Image Storage."""

ALWAYS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
"""Patient and study attributes of type 2 (PS3.3 C.7.1.1, C.7.2.1): written also where absent."""

TYPE_2 = frozenset(ALWAYS) | {
    "AcquisitionContextSequence",
    "InstanceNumber",
    "Laterality",
    "SeriesNumber",
    "SliceThickness",
    "PositionReferenceIndicator",
    "ScanOptions",
    "MRAcquisitionType",
    "EchoTime",
    "EchoTrainLength",
}
"""Attributes that a valid object must have, be it empty: a value that is refused leaves that."""
