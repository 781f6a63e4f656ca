"""Tests of what runs in the hospital."""
