"""Experiments: who is served by which arm, what the arms are worth, and when one has to stop. Values and formulas."""
