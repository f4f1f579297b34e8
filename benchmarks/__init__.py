"""What the product costs, measured as ratios in one run; how to read it: docs/reference/benchmarks.md."""
