"""Floor 7: machine-learned interatomic potentials: which there are, and relaxing with them."""
