"""Numeric statements of five papers on quantum dots in perovskites, recomputed with the package's own functions."""
