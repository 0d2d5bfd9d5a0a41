"""Machine-learned interatomic potentials by name, as ASE calculators (extra ``mlip``; torch is imported only here)."""

import contextlib
import functools
import importlib
import io
import warnings
from typing import Any, Literal

from qdip_struct.errors import ToolError, UsageError

ModelName = Literal["chgnet"]
MODELS: dict[str, str] = {"chgnet": "CHGNet 0.3.0, weights inside the chgnet wheel (doi:10.1038/s42256-023-00716-3)"}
"""Name → what it is."""


def load_model(name: str, *, threads: int = 1) -> Any:
    """Return an ASE calculator for energies and forces.

    Parameters
    ----------
    name
        One of :data:`MODELS`.
    threads
        CPU threads that torch may use.

    Raises
    ------
    UsageError
        If there is no such model.
    ToolError
        If its packages are not installed.
    """
    if name not in MODELS:
        raise UsageError(f"unknown model '{name}'; known: {', '.join(MODELS)}")
    if threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")
    try:
        torch = importlib.import_module("torch")
        dynamics = importlib.import_module("chgnet.model.dynamics")
    except ImportError as error:
        raise ToolError(
            f"model '{name}' needs the package {error.name}; install it with: pip install 'qdip-struct[mlip]'"
        ) from error
    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad", category=UserWarning)
    with contextlib.redirect_stdout(io.StringIO()):
        calculator = dynamics.CHGNetCalculator(use_device="cpu", on_isolated_atoms="ignore")
    # Stress and magnetic moments, which a relaxation in a fixed cell does not use, are left out.
    calculator.calculate = functools.partial(calculator.calculate, task="ef")
    return calculator


def model_version(calculator: Any) -> str | None:
    """Version of the weights as the model names it."""
    version = getattr(calculator, "version", None)
    return None if version is None else str(version)
