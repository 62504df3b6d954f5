"""Room market."""
