"""Slabs: a crystal cut parallel to a plane, its terminations and the stoichiometry of its faces."""
