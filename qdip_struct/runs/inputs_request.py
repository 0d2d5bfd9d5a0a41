"""A request for CP2K inputs, in words: the fields are the options of ``qdip inputs``, and how they become a deck."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qdip_struct.base.errors import UsageError
from qdip_struct.cp2k.inputs.deck import Deck, Wishes, make_deck
from qdip_struct.cp2k.inputs.inputfile import parse_input
from qdip_struct.cp2k.inputs.preflight import Finding, check_input
from qdip_struct.cp2k.inputs.presets import Preset, get_preset, template_text
from qdip_struct.cp2k.inputs.schema import Schema
from qdip_struct.cp2k.inputs.sections import ScfMethod
from qdip_struct.cp2k.tasks import TaskName

if TYPE_CHECKING:
    from ase import Atoms


@dataclass(frozen=True, kw_only=True)
class InputsRequest:
    """What ``qdip inputs`` takes, as typed.

    Attributes
    ----------
    preset, task
        How well, and what is calculated.
    template
        Own CP2K template; what it says stays.
    set
        ``PATH=VALUE`` of any keyword.
    kpoints
        Monkhorst–Pack mesh ``N,N,N`` in place of the preset's.
    multiplicity
        2S + 1; by default from the electron count.
    charge
        Of the cell, e.
    basis, scf
        Name of a set in ``kinds.yaml``, and the method.
    print, stride
        What is printed besides; every n-th grid point in cubes.
    fixed_layers
        Lowest layers that are held fixed.
    counterpoise
        Also the slabs of interfaces with ghost partners.
    on_scf_failure
        Whether the run goes on after an SCF that did not converge.
    dispersion, dipole_correction
        Corrections.
    walltime
        When CP2K stops by itself, s.
    cp2k_version
        Release the input is for.
    """

    preset: str = "production"
    task: TaskName = "energy"
    template: str | None = None
    set: tuple[str, ...] = ()
    kpoints: str | None = None
    multiplicity: int | None = None
    charge: int = 0
    basis: str = "dzvp"
    scf: ScfMethod = "auto"
    print: tuple[str, ...] = ()
    stride: int = 2
    fixed_layers: int = 0
    counterpoise: bool = False
    on_scf_failure: Literal["default", "continue"] = "default"
    dispersion: Literal["none", "d3bj"] = "none"
    dipole_correction: Literal["on", "off"] | None = None
    walltime: int | None = None
    cp2k_version: str | None = None


@dataclass(frozen=True)
class DeckMaker:
    """A request made ready: preset and template are read once for many structures.

    Attributes
    ----------
    request
        As typed.
    preset, template
        What it names, read.
    wishes
        The rest of it.
    """

    request: InputsRequest
    preset: Preset
    template: str
    wishes: Wishes

    def deck(self, atoms: "Atoms", *, role: str, wishes: Wishes | None = None) -> Deck:
        """The input of one structure."""
        return make_deck(
            atoms,
            task=self.request.task,
            preset=self.preset,
            template=self.template,
            role=role,
            wishes=wishes or self.wishes,
        )


def deck_maker(
    request: InputsRequest, *, folder: Path = Path(), version: str | None = None, walltime_s: int | None = None
) -> DeckMaker:
    """Read preset and template and turn the words into wishes.

    Parameters
    ----------
    request
        What is wanted.
    folder
        Where a relative template name starts.
    version
        CP2K version the inputs are for.
    walltime_s
        When CP2K stops by itself, s, unless the request says so.

    Raises
    ------
    UsageError
        For an unknown preset or a value that is not possible.
    DataError
        If the template cannot be read.
    """
    own = None if request.template is None else folder / request.template
    preset, template = get_preset(request.preset), template_text(request.task, own=own)
    return DeckMaker(request, preset, template, wishes_of(request, version=version, walltime_s=walltime_s))


def wishes_of(request: InputsRequest, *, version: str | None = None, walltime_s: int | None = None) -> Wishes:
    """The wishes behind the words; :class:`UsageError` for values that are not possible."""
    mesh = None
    if request.kpoints:
        words = request.kpoints.replace("x", ",").split(",")
        if len(words) != 3 or not all(word.strip().isdigit() and int(word) > 0 for word in words):
            raise UsageError(f"--kpoints takes three positive whole numbers such as 4,4,1, not '{request.kpoints}'")
        mesh = (int(words[0]), int(words[1]), int(words[2]))
    if request.walltime is not None and request.walltime <= 0:
        raise UsageError(f"--walltime is a positive number of seconds, not {request.walltime}")
    if request.fixed_layers < 0:
        raise UsageError(f"--fixed-layers is a number of layers, not {request.fixed_layers}")
    return Wishes(
        basis=request.basis,
        scf=request.scf,
        version=request.cp2k_version or version,
        on_scf_failure=request.on_scf_failure,
        prints=request.print,
        stride=request.stride,
        fixed_layers=request.fixed_layers,
        kpoints=mesh,
        multiplicity=request.multiplicity,
        charge=request.charge,
        dispersion=request.dispersion,
        dipole_correction=None if request.dipole_correction is None else request.dipole_correction == "on",
        walltime_s=walltime_s if request.walltime is None else request.walltime,
        settings=request.set,
    )


def checked(deck: Deck, *, schema: Schema | None, source: str) -> tuple[Finding, ...]:
    """Pre-flight of a deck: warnings are returned, the first error is raised with its line in the input.

    Raises
    ------
    UsageError
        If the input would fail.
    """
    findings = check_input(parse_input(deck.text, source=source), schema=schema)
    refuse_errors(findings, source=source)
    return findings


def refuse_errors(findings: Sequence[Finding], *, source: str) -> None:
    """Raise :class:`UsageError` with the first error found; the count of the others is told."""
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        place = f"line {errors[0].line}: " if errors[0].line is not None else ""
        raise UsageError(f"{source}: {place}{errors[0].message}; {errors[0].remedy}{more}")
