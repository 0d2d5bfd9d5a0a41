"""Names for arrays in signatures; shapes and units stand in the docstrings."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of any element type."""
Floats = NDArray[np.float64]
"""An array of double-precision numbers."""
