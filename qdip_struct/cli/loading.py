"""Loading of dots in a matrix: mass ratio, volume fraction and spacing of the dots.

--mass-ratio is mass of precursor (PbX2, default) or of matrix per mass of dot; densities in g/cm³; --diameter in Å.
Densities that are not given are those of the crystals of the data set. Spacings are named by definition: simple
cubic n^(-1/3) or Wigner-Seitz 2r, centre to centre or surface to surface.

examples:
  qdip loading --dot PbS --matrix MAPbI3 --mass-ratio 10 --density dot=7.60,matrix=4.107
  qdip loading --volume-fraction 0.04 --diameter 40
"""

import argparse

from qdip_struct.base.errors import EXIT_DONE, UsageError
from qdip_struct.base.options import add_options
from qdip_struct.builders.parsing import number_pairs
from qdip_struct.cli.console import answer, warn_of
from qdip_struct.materials.loading import dot_spacings, loading_from_fraction, loading_from_mass
from qdip_struct.materials.options import CrystalOptions


def add_loading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``qdip loading``."""
    parser.add_argument("--dot", metavar="FORMULA", help="PbS; needed with a mass ratio")
    parser.add_argument("--matrix", metavar="FORMULA", help="MAPbI3, MAPbI2.5Br0.5; needed with a mass ratio")
    parser.add_argument("--mass-ratio", type=float, metavar="R", help="mass of precursor or matrix per mass of dot")
    parser.add_argument(
        "--mass-of",
        choices=("precursor", "matrix"),
        default="precursor",
        help="what R weighs (default: precursor, PbX2)",
    )
    parser.add_argument("--density", metavar="dot=D,matrix=D", help="densities, g/cm³")
    parser.add_argument("--volume-fraction", type=float, metavar="F", help="dot volume over total volume, 0 to 1")
    parser.add_argument("--diameter", type=float, metavar="A", help="diameter of the dots, Å: adds the spacings")
    add_options(parser, CrystalOptions, names=("dataset", "temperature", "crystals"))


def loading_command(args: argparse.Namespace) -> int:
    """Convert one loading."""
    if (args.mass_ratio is None) == (args.volume_fraction is None):
        raise UsageError("give either --mass-ratio or --volume-fraction")
    if args.mass_ratio is not None and not (args.dot and args.matrix):
        raise UsageError("--mass-ratio needs --dot and --matrix")
    densities = number_pairs(args.density, keys=("dot", "matrix"), option="--density")
    common = {
        "mass_of": args.mass_of,
        "densities": densities,
        "dataset": args.dataset,
        "temperature": args.temperature,
        "files": tuple(args.crystals),
    }
    by_mass = None
    if args.dot and args.matrix:
        by_mass = loading_from_mass(args.dot, matrix=args.matrix, mass_ratio=args.mass_ratio or 1.0, **common)
    if args.volume_fraction is not None:
        loading = loading_from_fraction(args.volume_fraction)
    else:
        assert by_mass is not None
        loading = by_mass
    factor = None if by_mass is None else by_mass.factor
    spacing = None if args.diameter is None else dot_spacings(loading.volume_fraction, diameter=args.diameter)
    lattices = {} if by_mass is None else by_mass.lattices
    warnings = list(dict.fromkeys(told for mixed in lattices.values() for told in mixed.warnings))
    warn_of(warnings)
    document = {
        "dot": args.dot,
        "matrix": args.matrix,
        "mass_ratio": args.mass_ratio if factor is None else loading.volume_ratio / factor,
        "mass_of": args.mass_of,
        "volume_ratio_matrix_to_dot": loading.volume_ratio,
        "volume_ratio_per_mass_ratio": factor,
        "volume_fraction": loading.volume_fraction,
        "densities_g_per_cm3": None if by_mass is None else dict(by_mass.densities),
        "density_sources": None if by_mass is None else dict(by_mass.sources),
        "a_angstrom": {side: mixed.a_angstrom for side, mixed in lattices.items()},
        "temperature_kelvin": {side: mixed.temperature_kelvin for side, mixed in lattices.items()},
        "lattice_warnings": warnings,
        "diameter_angstrom": args.diameter,
        "spacing_angstrom": spacing,
    }
    lines = [
        f"volume of matrix per volume of dot: {loading.volume_ratio:.6g}",
        f"volume fraction of dots:            {loading.volume_fraction:.6g}",
    ]
    if by_mass is not None and factor is not None:
        lines.append(f"mass of {args.mass_of} per mass of dot:  {loading.volume_ratio / factor:.6g}")
        for side in ("dot", "matrix"):
            lines.append(f"density of the {side}: {by_mass.densities[side]:.4g} g/cm³ ({by_mass.sources[side]})")
    for name, value in (spacing or {}).items():
        lines.append(f"spacing, {name.replace('_', ' ')}: {value:.1f} Å")
    answer(args, document, text="\n".join(lines))
    return EXIT_DONE
