"""Machine-learned interatomic potentials by name, as ASE calculators; each package is an extra and imported only here.

Weights come from the installed package or from a file that the user names, never from the network. A weights file of
torch is a program: loading it runs what is stored in it, so its SHA-256 is part of every result.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import PickleError
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from qdip_struct.base.errors import DataError, ToolError, UsageError
from qdip_struct.base.files import sha256

if TYPE_CHECKING:
    from ase import Atoms

ModelName = Literal["chgnet", "sevennet", "sevennet-l3i5", "mace"]
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Model:
    """A potential that can be asked for by name.

    Attributes
    ----------
    name
        As on the command line.
    about
        What it is, with its source.
    distribution
        Package to install, and the name its version is looked up by.
    module
        Module with the ASE calculator.
    shipped_weights
        Path of the weights inside the installed package; ``None`` where the package takes care of it itself or the
        user must name a file.
    own_weights
        Whether a file of weights must be given, may be given or is not taken.
    weights_source
        Where to get weights that no package ships.
    """

    name: ModelName
    about: str
    distribution: str
    module: str
    own_weights: Literal["required", "optional", "refused"]
    shipped_weights: str | None = None
    weights_source: str | None = None


_SEVENNET = "SevenNet (doi:10.1021/acs.jctc.4c00190)"
MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Model(
            "chgnet",
            "CHGNet 0.3.0, weights inside the chgnet wheel (doi:10.1038/s42256-023-00716-3)",
            "chgnet",
            "chgnet.model.dynamics",
            "refused",
        ),
        Model(
            "sevennet",
            f"{_SEVENNET}: SevenNet-0 of 11 July 2024, weights inside the sevenn wheel",
            "sevenn",
            "sevenn.calculator",
            "optional",
            "pretrained_potentials/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
        ),
        Model(
            "sevennet-l3i5",
            f"{_SEVENNET}: SevenNet-l3i5, weights inside the sevenn wheel; about three times the cost of sevennet",
            "sevenn",
            "sevenn.calculator",
            "optional",
            "pretrained_potentials/SevenNet_l3i5/checkpoint_l3i5.pth",
        ),
        Model(
            "mace",
            "MACE (doi:10.48550/arXiv.2206.07697) with the weights of a given file",
            "mace-torch",
            "mace.calculators",
            "required",
            weights_source="download a model file, for example MACE-MP-0 (doi:10.48550/arXiv.2401.00096), "
            "from https://github.com/ACEsuit/mace-foundations/releases",
        ),
    )
}
"""Name → what it is."""


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model: the ASE ``calculator`` and what names it exactly.

    Attributes
    ----------
    calculator
        ASE calculator of energies (eV), forces (eV/Å) and, when asked for, stress (eV/Å³).
    version
        Name of the weights and version of the package.
    weights
        Name of the weights file; ``None`` for weights that the package loads itself.
    elements
        Atomic numbers the model knows.
    """

    calculator: Any
    model: Model
    version: str
    weights: str | None
    weights_sha256: str | None
    elements: frozenset[int]

    def refuse_unknown_elements(self, atoms: "Atoms") -> None:
        """Raise :class:`DataError` when the structure holds an element that the model was never taught."""
        from ase.data import chemical_symbols

        unknown = sorted({int(z) for z in atoms.numbers} - self.elements)
        if unknown:
            names = ", ".join(chemical_symbols[z] for z in unknown)
            raise DataError(f"model '{self.model.name}' does not know {names}; choose another model")


def find_model(name: str) -> Model:
    """The model of a name; :class:`UsageError` lists the known ones."""
    if name not in MODELS:
        raise UsageError(f"unknown model '{name}'; known: {', '.join(MODELS)}")
    return MODELS[name]


def check_weights(model: Model, weights: Path | None) -> None:
    """Refuse, before anything is imported, a weights file that is missing, not wanted or not given.

    Raises
    ------
    UsageError
        If the model takes no file, or needs one and none is given.
    DataError
        If the file does not exist or is empty.
    """
    if weights is None:
        if model.own_weights == "required":
            raise UsageError(f"model '{model.name}' needs --weights FILE; {model.weights_source}")
        return
    if model.own_weights == "refused":
        raise UsageError(f"model '{model.name}' comes with its weights; leave --weights out")
    if not weights.is_file() or weights.stat().st_size == 0:
        where = f"; {model.weights_source}" if model.weights_source else ""
        raise DataError(f"cannot read {weights}: there is no such weights file, or it is empty{where}")


def load_model(
    name: str, *, threads: int = 1, weights: Path | None = None, stress: bool = False, device: Device = "cpu"
) -> LoadedModel:
    """Load a potential.

    Parameters
    ----------
    name
        One of :data:`MODELS`.
    threads
        CPU threads that torch may use.
    weights
        File of weights, for models that take one. Loading it runs code stored in it.
    stress
        Whether the stress is needed; CHGNet is faster without.
    device
        Where torch computes.

    Raises
    ------
    UsageError
        If there is no such model, or the choice of weights does not fit it.
    ToolError
        If its package, its shipped weights or the device is missing.
    DataError
        If the weights file cannot be loaded.
    """
    model = find_model(name)
    if threads < 1:
        raise UsageError(f"threads must be at least 1, not {threads}")
    check_weights(model, weights)
    torch, module = _import(model)
    torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise ToolError("device 'cuda' was asked for, but torch sees no such device here; use --device cpu")
    warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad", category=UserWarning)
    file = weights
    if file is None and model.shipped_weights is not None:
        file = _inside(module, model.shipped_weights, model=model)
    package = importlib.metadata.version(model.distribution)
    try:
        with _quiet():
            calculator, elements, label = _LOADERS[model.module](module, file, stress=stress, device=device)
    except _UNREADABLE as error:
        if weights is None:
            raise ToolError(f"model '{name}' of {model.distribution} {package} cannot be loaded: {error}") from error
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"{weights} holds no weights that {model.distribution} {package} can load: {reason}") from error
    named = label or (file.parent.name if weights is None and file is not None else f"{file and file.name}")
    return LoadedModel(
        calculator,
        model,
        f"{named} ({model.distribution} {package})",
        None if file is None else file.name,
        None if file is None else sha256(file.read_bytes()),
        frozenset(elements),
    )


_UNREADABLE = (RuntimeError, ValueError, KeyError, AttributeError, TypeError, EOFError, OSError, ImportError,
               IndexError, AssertionError, PickleError)  # fmt: skip
"""What torch and the model packages raise for a file that is not theirs."""


def _import(model: Model) -> tuple[ModuleType, ModuleType]:
    try:
        with _quiet():
            return importlib.import_module("torch"), importlib.import_module(model.module)
    except ImportError as error:
        missing = error.name or model.distribution
        raise ToolError(
            f"model '{model.name}' needs {model.distribution}, which cannot be imported here ({missing}); "
            f"install it with: pip install {model.distribution}"
        ) from error


def _inside(module: ModuleType, path: str, *, model: Model) -> Path:
    package = importlib.import_module(module.__name__.partition(".")[0])
    file = Path(str(package.__file__)).parent / path
    if not file.is_file():
        raise ToolError(
            f"the installed {model.distribution} does not hold {file.name} of '{model.name}'; "
            f"install a version that ships it: pip install --upgrade {model.distribution}"
        )
    return file


Loaded = tuple[Any, list[int], str | None]


def _load_chgnet(module: ModuleType, file: Path | None, *, stress: bool, device: Device) -> Loaded:
    calculator = module.CHGNetCalculator(use_device=device, on_isolated_atoms="ignore")
    calculator.calculate = functools.partial(calculator.calculate, task="efs" if stress else "ef")
    return calculator, list(range(1, 95)), f"CHGNet {calculator.version}"


def _load_sevennet(module: ModuleType, file: Path | None, *, stress: bool, device: Device) -> Loaded:
    _refuse_foreign_pickle(file)
    calculator = module.SevenNetCalculator(str(file), device=device)
    return calculator, [int(z) for z in calculator.type_map], None


def _load_mace(module: ModuleType, file: Path | None, *, stress: bool, device: Device) -> Loaded:
    _refuse_foreign_pickle(file)
    # MACE itself advises double precision for relaxations; single is for dynamics.
    calculator = module.MACECalculator(model_paths=str(file), device=device, default_dtype="float64")
    return calculator, [int(z) for z in calculator.z_table.zs], None


def _refuse_foreign_pickle(file: Path | None) -> None:
    """torch saves a zip archive; anything else is refused before it reaches an unpickler."""
    import zipfile

    if file is None or not zipfile.is_zipfile(file):
        raise ValueError("it is not an archive that torch has written")


_LOADERS = {
    "chgnet.model.dynamics": _load_chgnet,
    "sevenn.calculator": _load_sevennet,
    "mace.calculators": _load_mace,
}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the chatter of the model packages off stdout and stderr."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
