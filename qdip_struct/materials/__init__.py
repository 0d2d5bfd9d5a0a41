"""Floor 1: what crystals are. Lattices, data sets, compositions, moduli; no atoms, no files written."""
