"""Room flows."""
