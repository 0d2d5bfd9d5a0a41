"""Quantum dots in perovskites: from a halide composition to an interface energy and a strain map.

The package is one stream, lowest floor first: :mod:`base`, :mod:`materials`, :mod:`matching`, :mod:`builders`,
:mod:`cp2k`, :mod:`runs`, :mod:`analysis`, :mod:`mlip`, :mod:`campaign`, :mod:`report`, :mod:`papers`, :mod:`cli`. A
module imports only from its own floor and those below.
"""

__version__ = "0.1.0"
