"""What runs in the hospital; imports mri_guard, never the reverse."""
