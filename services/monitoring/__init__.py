"""Alarms when what comes in, or what readers make of it, drifts."""
