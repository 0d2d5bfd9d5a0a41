"""Quantum dots in perovskites: from a halide composition to an interface energy and a strain map.

The package is one stream, lowest floor first: :mod:`materials`, :mod:`matching`, :mod:`build`, :mod:`cp2k`,
:mod:`analysis`, :mod:`campaign`, :mod:`report`, :mod:`cli`. A module imports only from floors below its own.
"""

__version__ = "0.1.0"
