"""From cubes and projected states to charges, potentials, levels and band alignment."""
