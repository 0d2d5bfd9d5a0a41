"""From finished runs to surface, adsorption, interface and formation energies."""
