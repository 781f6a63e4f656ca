"""Tests of the users and keys."""
