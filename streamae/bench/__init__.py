"""Bench: what serving costs, beside the parts that it cannot do without."""
