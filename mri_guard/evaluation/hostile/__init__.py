"""Hostile and broken series, made in code, each with one defect and named for it."""

from mri_guard.evaluation.hostile.corpus import ACCEPTED, DEFECTS, Defect, write_corpus

__all__ = ["ACCEPTED", "DEFECTS", "Defect", "write_corpus"]
