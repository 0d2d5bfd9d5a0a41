"""Floor 10: the statements of five papers, recomputed with the package itself: a validation of all below it."""
