"""Quantum dots: shapes, free dots, dots in a matrix, on a slab, their neutrality and passivation."""
