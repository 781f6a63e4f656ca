"""Tests of `services.intake`."""
