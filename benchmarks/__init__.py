"""Benchmarks: each states the real unit of work it times."""
