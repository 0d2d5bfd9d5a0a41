"""Runs that do not belong together, planted in real run folders by editing outputs, inputs or run.json as text.

Each case changes one thing in copies of the shipped PbS(100)//CsPbBr3(100) runs; ``qdip energies`` must refuse the
combinations that it spoils, name what differs, and name the run.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from energy_folders import copy_reference, edit, edit_record, set_atoms, set_cell, set_energy, set_mesh

from qdip_struct.analysis.energies.study import energies_of
from qdip_struct.runs.rundir import find_run_folders

SLABS = ("film", "substrate", "interface")
DFT = "  &DFT\n"


@dataclass(frozen=True)
class Plant:
    """What is planted, in which run, the words that the refusal must have, and the key that must then be null."""

    name: str
    where: str
    change: Callable[[Path], None]
    words: str
    lost: str = "adsorption_energy_mev_per_angstrom2"
    roles: tuple[str, ...] = SLABS


def out(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "run.out", (old, new))


def printed(label: str, value: str) -> Callable[[Path], None]:
    """Change the last word of the line of the output that begins with ``label``."""

    def change(folder: Path) -> None:
        text = (folder / "run.out").read_text()
        new, count = re.subn(rf"^( *{re.escape(label)}.*?)\S+ *$", rf"\g<1>{value}", text, count=1, flags=re.M)
        assert count == 1, label
        (folder / "run.out").write_text(new)

    return change


def inp(old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "run.inp", (old, new))


def inp_after(place: str, lines: str) -> Callable[[Path], None]:
    return inp(place, place + lines)


def out_after(place: str, line: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / "run.out").read_text()
        at = text.index("\n", text.index(place)) + 1
        (folder / "run.out").write_text(text[:at] + line + "\n" + text[at:])

    return change


def kind(element: str, old: str, new: str) -> Callable[[Path], None]:
    """Change a basis set or potential in the block that the output prints of one kind."""

    def change(folder: Path) -> None:
        text = (folder / "run.out").read_text()
        start = text.index(f"Atomic kind: {element} ")
        end = text.find("Atomic kind:", start + 1)
        block = text[start:end] if end > 0 else text[start:]
        assert old in block
        (folder / "run.out").write_text(text[:start] + block.replace(old, new, 1) + text[start + len(block) :])

    return change


def record(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        edit_record(folder, lambda item: change(item) and None)

    return apply


def several(*changes: Callable[[Path], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for change in changes:
            change(folder)

    return apply


def optimised(folder: Path) -> None:
    """Make a single point look like a completed optimisation, in its output and its input."""
    edit(
        folder / "run.out",
        ("Run type                                                   ENERGY_FORCE", "Run type  GEO_OPT"),
    )
    out_after("SUM OF ATOMIC FORCES", "\n *** GEOMETRY OPTIMIZATION COMPLETED ***\n")(folder)
    edit(folder / "run.inp", ("RUN_TYPE ENERGY_FORCE", "RUN_TYPE GEO_OPT"))
    with (folder / "run.inp").open("a") as stream:
        stream.write("&MOTION\n  &GEO_OPT\n    MAX_FORCE 1.0E-03\n  &END GEO_OPT\n&END MOTION\n")


def all_optimised(folder: Path) -> None:
    for role in SLABS:
        optimised(folder.parent / role)


def all_slabs(change: Callable[[Path], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for role in SLABS:
            change(folder.parent / role)

    return apply


def lateral(folder: Path) -> None:
    set_cell(folder, (6.02, 5.99, 30.148))
    record(lambda item: item["cell_angstrom"][0].__setitem__(0, 6.02))(folder)


def truncated(folder: Path) -> None:
    text = (folder / "run.out").read_text()
    (folder / "run.out").write_text(text[: text.index("ENERGY|") - 200])


def other_output(folder: Path) -> None:
    (folder / "run.out").write_text((folder.parent / "film" / "run.out").read_text())
    set_atoms(folder, 8)


def twin(folder: Path) -> None:
    copy = folder.parent / "film_again"
    copy.mkdir()
    for item in folder.iterdir():
        (copy / item.name).write_bytes(item.read_bytes())


def no_mesh(folder: Path) -> None:
    text = (folder / "run.out").read_text()
    (folder / "run.out").write_text(re.sub(r" BRILLOUIN\|.*\n", "", text))


SMEARING = " Smear method: FERMI_DIRAC\n Electronic temperature [K]:                                          300.0"
PLUS_U = "\n      &DFT_PLUS_U\n        L 1\n        U_MINUS_J [eV] 4.0\n      &END DFT_PLUS_U"
FIXED = "&MOTION\n  &CONSTRAINT\n    &FIXED_ATOMS\n      LIST 1..4\n    &END FIXED_ATOMS\n  &END CONSTRAINT\n"
BULK = (*SLABS, "film_bulk", "substrate_bulk", "reservoir")
GAMMA_FILM = "surface_energy_film_mev_per_angstrom2"
GAMMA_SUBSTRATE = "surface_energy_substrate_mev_per_angstrom2"
MEAN = "surface_energy_substrate_mean_of_terminations_mev_per_angstrom2"
ONE_LINE = "DFT| Charge "

PLANTS = [
    Plant("functional PBEsol", "interface", out("FUNCTIONAL| PBE:", "FUNCTIONAL| PBESOL:"), "functional: .*PBESOL"),
    Plant("functional BLYP", "film", out("FUNCTIONAL| PBE:", "FUNCTIONAL| BLYP:"), "functional: .*BLYP"),
    Plant(
        "hybrid functional",
        "substrate",
        out_after(ONE_LINE, " HFX_INFO| FRACTION:                                     0.2500000000"),
        r"functional: .*HF\(0.25\)",
    ),
    Plant(
        "dispersion",
        "interface",
        out_after(ONE_LINE, " vdW POTENTIAL|          DFT-D3 (Version 3.1)\n vdW POTENTIAL|          Zero Damping"),
        "dispersion correction: .*DFT-D3",
    ),
    Plant("cutoff", "film", printed("QS| Density cutoff [a.u.]:", "200.0"), r"cutoff \(Ry\): .*400"),
    Plant(
        "relative cutoff",
        "interface",
        printed("QS| Relative density cutoff [a.u.]:", "30.0"),
        r"relative cutoff \(Ry\): .*60",
    ),
    Plant("in-plane mesh", "substrate", lambda folder: set_mesh(folder, (3, 3, 1)), "in-plane k-points: .*3x3"),
    Plant("mesh in one direction", "film", lambda folder: set_mesh(folder, (4, 5, 1)), "in-plane k-points: .*4x5"),
    Plant(
        "mesh along the normal", "interface", lambda folder: set_mesh(folder, (4, 4, 2)), "k-points along the normal"
    ),
    Plant("Γ only", "interface", no_mesh, "in-plane k-points: .*1x1"),
    Plant("unrestricted", "film", printed("DFT| Spin restricted", "UKS"), "spin treatment: .*UKS"),
    Plant("restricted open shell", "substrate", printed("DFT| Spin restricted", "ROKS"), "spin treatment: .*ROKS"),
    Plant("charge", "substrate", printed("DFT| Charge", "1"), r"total charge \(e\): .*1"),
    Plant("negative charge", "interface", printed("DFT| Charge", "-2"), r"total charge \(e\): .*-2"),
    Plant("multiplicity", "interface", printed("DFT| Multiplicity", "3"), "multiplicity: .*3"),
    Plant("smearing", "interface", out_after(ONE_LINE, SMEARING), "smearing: .*FERMI_DIRAC"),
    Plant(
        "smearing at another temperature",
        "film",
        several(all_slabs(out_after(ONE_LINE, SMEARING)), printed("Electronic temperature [K]:", "600.0")),
        "smearing: .*600",
    ),
    *(
        Plant(
            f"basis set of {element}",
            "interface",
            kind(element, "DZVP-MOLOPT-SR-GTH", "TZVP-MOLOPT-SR-GTH"),
            f"basis set of {element}: .*TZVP",
        )
        for element in ("Pb", "S", "Br", "Cs")
    ),
    *(
        Plant(
            f"potential of {element}",
            "interface",
            kind(element, f"GTH-PBE-q{q}", f"GTH-PBE-q{q + 2}"),
            f"potential of {element}: .*q{q + 2}",
        )
        for element, q in (("Pb", 4), ("S", 6), ("Br", 7), ("Cs", 9))
    ),
    Plant("lateral cell", "substrate", lateral, "the lateral cell: .*6.02"),
    Plant(
        "output of another cell", "film", lambda folder: set_cell(folder, (5.99, 5.99, 31.0)), "the output's cell is"
    ),
    Plant("output of other atoms", "interface", lambda folder: set_atoms(folder, 24), "the output has 24 atoms"),
    Plant("output of other elements", "substrate", other_output, "the output is of Pb, S, run.json says Br, Cs, Pb"),
    Plant(
        "SCF not converged",
        "interface",
        out("*** SCF run converged in    22 steps ***", "*** WARNING in qs_scf.F:598 :: SCF run NOT converged ***"),
        "not finished: scf_unconverged",
    ),
    Plant(
        "stopped by its walltime",
        "film",
        lambda folder: edit(
            folder / "run.out",
            (
                "SUM OF ATOMIC FORCES",
                "*** SCF run terminated - exceeded requested execution time: 60 seconds ***\n SUM OF ATOMIC FORCES",
            ),
        ),
        "not finished: walltime",
    ),
    Plant(
        "aborted",
        "substrate",
        out_after("SUM OF ATOMIC FORCES", " * [ABORT] something went wrong"),
        "not finished: aborted",
    ),
    Plant("truncated", "interface", truncated, "not finished: truncated"),
    Plant(
        "optimisation out of steps",
        "interface",
        several(optimised, out("GEOMETRY OPTIMIZATION COMPLETED", "MAXIMUM NUMBER OF OPTIMIZATION STEPS REACHED")),
        "not finished: max_steps",
    ),
    Plant("no output", "film", lambda folder: (folder / "run.out").unlink(), "no CP2K output"),
    Plant("empty output", "substrate", lambda folder: (folder / "run.out").write_text(""), "run.out"),
    Plant(
        "another program's output",
        "interface",
        lambda folder: (folder / "run.out").write_text("Siesta Version 4.1\nEnergy -1.0\n"),
        "run.out",
    ),
    Plant(
        "energy that is not the SCF's",
        "interface",
        printed("Total energy:", "-178.598844847"),
        "differs from the SCF's",
    ),
    Plant("relaxed interface", "interface", optimised, "the kind of run: .*GEO_OPT"),
    Plant("relaxed film", "film", optimised, "the kind of run: .*GEO_OPT"),
    Plant(
        "single point of a geometry from a model",
        "interface",
        record(lambda item: item["structure"].update(relaxation={"model": "chgnet", "fmax_ev_per_angstrom": 0.05})),
        "the geometry of the single points: .*chgnet",
    ),
    Plant(
        "largest force",
        "interface",
        several(all_optimised, inp("MAX_FORCE 1.0E-03", "MAX_FORCE 4.5E-04")),
        "criterion of the relaxation .*MAX_FORCE",
    ),
    Plant(
        "mean force",
        "film",
        several(all_optimised, inp("MAX_FORCE 1.0E-03", "MAX_FORCE 1.0E-03\n    RMS_FORCE 1E-2")),
        "criterion of the relaxation .*RMS_FORCE",
    ),
    Plant(
        "largest step",
        "substrate",
        several(all_optimised, inp("MAX_FORCE 1.0E-03", "MAX_FORCE 1.0E-03\n MAX_DR 0.1")),
        "criterion of the relaxation .*MAX_DR",
    ),
    Plant("fixed atoms", "interface", several(all_optimised, inp("&MOTION\n", FIXED)), "holds 4 atoms fixed"),
    Plant(
        "relaxed film, strained bulk with forces",
        "film_bulk",
        several(all_optimised, out("2      1      Pb          0.00000000", "2      1      Pb          0.05000000")),
        "relaxation: ",
        GAMMA_FILM,
        BULK,
    ),
    Plant(
        "dipole correction",
        "interface",
        out_after("Total energy:", " Total dipole moment perpendicular to \n the slab [electrons-Angstroem]: 0.2"),
        "the surface dipole correction",
    ),
    Plant(
        "direction of the dipole correction",
        "film",
        several(
            all_slabs(out_after("Total energy:", " Total dipole moment perpendicular to \n the slab: 0.2")),
            all_slabs(inp_after(DFT, "    SURFACE_DIPOLE_CORRECTION T\n    SURF_DIP_DIR Z\n")),
            inp("SURF_DIP_DIR Z", "SURF_DIP_DIR X"),
        ),
        "the direction of the dipole correction: .*X",
    ),
    Plant("EPS_SCF", "interface", inp("EPS_SCF 1.0E-6", "EPS_SCF 1.0D-4"), "SCF threshold .*0.0001"),
    Plant("GAPW", "substrate", inp("METHOD GPW", "METHOD GAPW"), "Quickstep method: .*GAPW"),
    Plant(
        "plane waves", "interface", inp("METHOD QUICKSTEP", "METHOD SIRIUS"), "method of the force evaluation: .*SIRIUS"
    ),
    Plant(
        "Poisson solver",
        "interface",
        inp("PERIODIC XYZ\n    &END POISSON", "PERIODIC XYZ\n POISSON_SOLVER MT\n    &END POISSON"),
        "the Poisson section: POISSON_SOLVER .*MT",
    ),
    Plant("EPS_DEFAULT", "film", inp("EPS_DEFAULT 1.0E-10", "EPS_DEFAULT 1.0E-8"), "EPS_DEFAULT: .*1e-08"),
    Plant(
        "periodicity",
        "film",
        inp("PERIODIC XYZ\n    &END POISSON", "PERIODIC XY\n    &END POISSON"),
        "the Poisson section: PERIODIC .*XY",
    ),
    Plant(
        "grid of the functional",
        "interface",
        inp_after("    &XC\n", "      &XC_GRID\n XC_DERIV SPLINE2\n &END XC_GRID\n"),
        "exchange-correlation section: XC_GRID/XC_DERIV",
    ),
    Plant(
        "parameters of the functional",
        "film",
        inp("&XC_FUNCTIONAL PBE\n", "&XC_FUNCTIONAL PBE\n &PBE\n PARAMETRIZATION REVPBE\n &END PBE\n"),
        "exchange-correlation section: XC_FUNCTIONAL/PBE/PARAMETRIZATION .*REVPBE",
    ),
    Plant("grid levels", "substrate", inp_after("    &MGRID\n", "      NGRIDS 5\n"), "MGRID section: NGRIDS"),
    Plant(
        "commensurate grids", "film", inp_after("    &MGRID\n", "      COMMENSURATE\n"), "MGRID section: COMMENSURATE"
    ),
    Plant(
        "shifted mesh",
        "interface",
        inp("SCHEME MONKHORST-PACK 4 4 1", "SCHEME MACDONALD 4 4 1 0.25 0.25 0.0"),
        "k-point scheme: .*MACDONALD",
    ),
    Plant("DFT+U", "interface", inp("    &KIND Pb", "    &KIND Pb" + PLUS_U), r"DFT\+U of Pb: "),
    Plant(
        "electric field",
        "interface",
        inp_after(DFT, "    &PERIODIC_EFIELD\n INTENSITY 0.01\n &END PERIODIC_EFIELD\n"),
        "external field: PERIODIC_EFIELD",
    ),
    Plant(
        "basis set file",
        "film",
        inp("BASIS_SET_FILE_NAME BASIS_MOLOPT", "BASIS_SET_FILE_NAME BASIS_MOLOPT_UZH"),
        "basis set files: .*UZH",
    ),
    Plant(
        "potential file",
        "interface",
        inp("POTENTIAL_FILE_NAME GTH_POTENTIALS", "POTENTIAL_FILE_NAME POTENTIAL_UZH"),
        "potential file: .*UZH",
    ),
    Plant(
        "empty states with smearing",
        "interface",
        several(all_slabs(out_after(ONE_LINE, SMEARING)), inp_after("    &SCF\n", "      ADDED_MOS 20\n")),
        "ADDED_MOS: .*20",
    ),
    Plant(
        "a film of fewer atoms",
        "film",
        several(
            record(lambda item: item["composition"].update(S=5)),
            record(lambda item: item.update(n_atoms=11)),
            lambda folder: set_atoms(folder, 11),
        ),
        "does not hold the atoms",
    ),
    Plant("two runs of one role", "film", twin, "2 runs play the role 'film'"),
    Plant(
        "cutoff of the bulk",
        "film_bulk",
        printed("QS| Density cutoff [a.u.]:", "140.0"),
        "cutoff .*280",
        GAMMA_FILM,
        BULK,
    ),
    Plant(
        "mesh of the bulk along the normal",
        "film_bulk",
        lambda folder: set_mesh(folder, (4, 4, 2)),
        "k-points along the normal of the bulk",
        GAMMA_FILM,
        BULK,
    ),
    Plant(
        "coarse reservoir",
        "reservoir",
        lambda folder: set_mesh(folder, (2, 2, 2)),
        "k-point density",
        GAMMA_SUBSTRATE,
        BULK,
    ),
    Plant(
        "reservoir coarse in one direction",
        "reservoir",
        lambda folder: set_mesh(folder, (5, 5, 2)),
        "k-point density",
        GAMMA_SUBSTRATE,
        BULK,
    ),
    Plant(
        "bulk of another crystal",
        "substrate_bulk",
        record(lambda item: item["composition"].update(Br=4)),
        "is not a whole number",
        GAMMA_SUBSTRATE,
        BULK,
    ),
    Plant(
        "a substrate that is not complementary",
        "substrate_other",
        record(lambda item: item["composition"].update(Br=3)),
        "not complementary",
        MEAN,
        (*BULK, "substrate_other"),
    ),
    Plant(
        "potential of the reservoir",
        "reservoir",
        kind("Cs", "GTH-PBE-q9", "GTH-PBE-q1"),
        "potential of Cs",
        GAMMA_SUBSTRATE,
        BULK,
    ),
]


def test_there_are_enough_distinct_plants() -> None:
    assert len({plant.name for plant in PLANTS}) == len(PLANTS) >= 50


@pytest.fixture(scope="module")
def combined() -> dict[str, Any]:
    """What the untouched runs give."""
    from energy_folders import REFERENCE

    return energies_of(find_run_folders([REFERENCE]))


def test_untouched_runs_are_combined(combined: dict[str, Any]) -> None:
    assert combined["refused"] == []
    group = combined["groups"][0]
    for plant in PLANTS:
        assert group[plant.lost] is not None


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_planted_mismatch_is_refused_with_its_reason(plant: Plant, tmp_path: Path) -> None:
    copy_reference(tmp_path, roles=plant.roles)
    plant.change(tmp_path / plant.where)
    document = energies_of(find_run_folders([tmp_path]))
    for group in document["groups"]:
        assert group[plant.lost] is None
        assert (
            plant.lost != "adsorption_energy_mev_per_angstrom2" or group["interface_energy_mev_per_angstrom2"] is None
        )
    about = [
        item
        for item in document["refused"]
        if re.search(plant.words, item["reason"]) and any(Path(path).name == plant.where for path in item["paths"])
    ]
    assert about, document["refused"]


def test_energies_of_relaxed_slabs_stand_when_all_are_relaxed_alike(tmp_path: Path) -> None:
    copy_reference(tmp_path, roles=BULK)
    all_optimised(tmp_path / "film")
    document = energies_of(find_run_folders([tmp_path]))
    assert document["refused"] == []
    assert document["groups"][0]["adsorption_energy_mev_per_angstrom2"] == pytest.approx(18.79, abs=0.01)
    assert document["groups"][0]["relaxed"] == {"film": True, "interface": True, "substrate": True}


def test_what_may_differ_is_said_and_not_refused(tmp_path: Path) -> None:
    copy_reference(tmp_path, roles=SLABS)
    edit(tmp_path / "interface" / "run.out", ("CP2K version 2023.1", "CP2K version 2024.3"))
    edit(tmp_path / "film" / "run.inp", ("EPS_SCF 1.0E-6", "EPS_SCF 1.0E-7"))
    document = energies_of(find_run_folders([tmp_path]))
    assert document["refused"] == []
    warnings = " ".join(document["groups"][0]["warnings"])
    assert "2023.1, 2024.3" in warnings
    assert "EPS_SCF 1e-07, 1e-06" in warnings


def test_a_folder_without_input_is_read_by_its_output(tmp_path: Path) -> None:
    copy_reference(tmp_path, roles=SLABS)
    for role in SLABS:
        (tmp_path / role / "run.inp").unlink()
    document = energies_of(find_run_folders([tmp_path]))
    assert document["refused"] == []
    assert document["groups"][0]["adsorption_energy_mev_per_angstrom2"] == pytest.approx(18.79, abs=0.01)


def test_a_slightly_different_way_of_writing_an_input_is_the_same(tmp_path: Path) -> None:
    copy_reference(tmp_path, roles=SLABS)
    edit(tmp_path / "film" / "run.inp", ("EPS_DEFAULT 1.0E-10", "eps_default 1d-10"), ("      METHOD GPW\n", ""))
    edit(
        tmp_path / "substrate" / "run.inp",
        ("      PERIODIC XYZ\n    &END POISSON", "      periodic xyz\n    &END POISSON"),
    )
    set_energy(tmp_path / "film", -82.8948)
    assert energies_of(find_run_folders([tmp_path]))["refused"] == []
