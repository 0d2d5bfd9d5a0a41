"""Floor 6: answers from finished runs. Energies, strain, charge, levels; plain arrays in and out."""
