"""Room pacing."""
