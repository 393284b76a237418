"""What features cost, and whether they are the same everywhere: python -m benchmarks.features.run --help."""
