"""The radiologists' queue."""
