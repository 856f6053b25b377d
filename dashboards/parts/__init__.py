"""The panels, by what they are about."""
