"""How a misfit is shared: strain and elastic energy of a dot in its matrix, or of a film on its substrate.

Moduli in GPa, lengths in Å, strains and misfit as fractions, energies in eV per dot and J/m² of interface. Isotropic
linear elasticity; what had to be assumed is printed. The misfit is (a_matrix - a_dot)/a_dot from one data set, or
--misfit. With --curve the energy against loading is listed; --plot draws it.

examples:
  qdip elastic --dot PbS --matrix MAPbI3 --misfit 0.05 --bulk dot=53,matrix=12.2 --volume-fraction 0.109 --diameter 30
  qdip elastic --dot PbS --matrix CsPbBrI2 --dataset liu2019 --dot-lattice 5.97 --diameter 35 --curve
  qdip elastic --film PbS --substrate CsPbBr3 --film-thickness 20 --substrate-thickness 60
"""

import argparse
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from qdip_struct.base.errors import EXIT_DONE, UsageError, check_positive
from qdip_struct.base.options import add_options
from qdip_struct.builders.parsing import number_pairs
from qdip_struct.cli.console import answer, at_kelvin, table, warn_of
from qdip_struct.materials.composition import parse_formula
from qdip_struct.materials.crystals import apart_in_temperature, check_lattice
from qdip_struct.materials.elasticity import ASSUMED_POISSON_RATIO, Moduli, isotropic_moduli, mixed_moduli
from qdip_struct.materials.mixed_lattice import mixed_lattice_constant
from qdip_struct.materials.options import CrystalOptions, OutputOptions
from qdip_struct.materials.strain_sharing import (
    DIAMETER_MODELS,
    StabilityCurve,
    Surroundings,
    critical_diameter,
    critical_spacing,
    share_dot,
    share_film,
    stability_curve,
)


def film_text(document: dict[str, Any]) -> str:
    """Text for a film on its substrate: moduli, the strain of both, and the elastic energy per area."""
    lines = [
        *_about(document["film"], "film"),
        *_about(document["substrate"], "substrate"),
        *_lattice_lines(document["lattices"], names={"dot": "film", "matrix": "substrate"}),
        f"misfit {100 * document['misfit']:+.3f} %: film {100 * document['film_strain']:+.3f} %, "
        f"substrate {100 * document['substrate_strain']:+.3f} %",
        f"elastic energy {document['energy_j_per_m2']:.4f} J/m²",
    ]
    return "\n".join(lines)


def _lattice_lines(lattices: dict[str, Any], *, names: Mapping[str, str]) -> list[str]:
    lines = []
    for role, entry in lattices.items():
        at = at_kelvin(entry["temperature_kelvin"])
        lines.append(f"a({names[role]}) = {entry['a_angstrom']:.4f} Å{at}, {entry['source']}")
    return lines


def dot_text(document: dict[str, Any]) -> str:
    """Text for a dot in its matrix: moduli, lattices, a row per case, critical sizes, and the curve where asked for."""
    lines = [*_about(document["dot"], "dot"), *_about(document["matrix"], "matrix")]
    lines += _lattice_lines(document["lattices"], names={"dot": "dot", "matrix": "matrix"})
    lines.append(f"misfit {100 * document['misfit']:+.3f} % of the dot")
    rows = []
    for case in document["cases"]:
        energy = [f"{case['energy_ev']:.3f}", f"{case['energy_j_per_m2']:.4f}"] if "energy_ev" in case else []
        rows.append(
            (
                case["surroundings"],
                f"{case['volume_fraction']:.3f}",
                f"{case['shear_matrix_gpa']:.2f}",
                f"{100 * case['dot_strain']:+.3f}%",
                f"{100 * case['matrix_hoop_strain']:+.2f}%",
                f"{100 * case['matrix_radial_strain']:+.2f}%",
                *energy,
                case["shear_matrix_from"],
            )
        )
    energies = ("eV/dot", "J/m²") if "energy_ev" in document["cases"][0] else ()
    header = ("matrix", "fraction", "G matrix", "dot strain", "hoop", "radial", *energies, "G matrix from")
    low, high = document["dot_strain_range"]
    lines += ["", table(header, rows), "", f"dot strain {100 * low:+.2f} to {100 * high:+.2f} %"]
    for model, value in document["critical_diameter_angstrom"].items():
        lines.append(f"critical diameter ({model.replace('_', ' ')}): {value:.0f} Å")
    spacing = document["critical_spacing_angstrom"]["matthews_blakeslee"]
    lines.append(f"critical spacing (Matthews-Blakeslee layer): {spacing:.0f} Å")
    if "curve" in document:
        lines += _curve_lines(document)
    return "\n".join(lines)


def _curve_lines(document: dict[str, Any]) -> list[str]:
    lines = []
    smallest = min(document["critical_diameter_angstrom"].values())
    if document["misfit"] != 0.0 and document["curve_diameter_angstrom"] < smallest:
        lines.append(
            f"dots of {document['curve_diameter_angstrom']:g} Å are below both critical diameters: one dot alone "
            "would stay coherent at any spacing;\n"
            "the curve follows the layers of matrix between dots (Liu et al. 2019)"
        )
    lines.append(f"dots are close enough to stay coherent above {100 * document['critical_volume_fraction']:.1f} vol %")
    rows = [
        (
            f"{100 * p['volume_fraction']:.1f}",
            f"{p['spacing_angstrom']:.0f}",
            "yes" if p["coherent"] else "no",
            f"{p['stored_j_per_cm3']:.2f}",
            f"{p['elastic_j_per_cm3']:.2f}",
        )
        for p in document["curve"][::5]
    ]
    return [*lines, "", table(("vol %", "gap Å", "coherent", "stored J/cm³", "elastic J/cm³"), rows)]


def _about(side: dict[str, Any], role: str) -> list[str]:
    lines = [
        f"{role} {side['name']}: K = {side['bulk_gpa']:.1f} GPa, G = {side['shear_gpa']:.2f} GPa, {side['source']}"
    ]
    return lines + ([f"  assumed: {side['assumption']}"] if side["assumption"] else [])


def add_elastic_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``qdip elastic``."""
    parser.add_argument("--dot", metavar="FORMULA", help="PbS")
    parser.add_argument("--matrix", action="append", default=[], metavar="FORMULA", help="CsPbBrI2; repeatable")
    parser.add_argument("--film", metavar="FORMULA", help="film, with --substrate in place of --dot and --matrix")
    parser.add_argument("--substrate", metavar="FORMULA", help="substrate")
    parser.add_argument("--film-thickness", type=float, metavar="A", help="Å")
    parser.add_argument(
        "--substrate-thickness", type=float, default=math.inf, metavar="A", help="Å (default: infinite)"
    )
    parser.add_argument("--misfit", type=float, metavar="F", help="fraction, in place of the data set's")
    parser.add_argument("--dot-lattice", type=float, metavar="A", help="lattice constant of the dot, Å")
    parser.add_argument("--bulk", metavar="dot=K,matrix=K", help="bulk moduli, GPa, in place of the known ones")
    parser.add_argument("--shear", metavar="dot=G,matrix=G", help="shear moduli, GPa")
    parser.add_argument("--volume-fraction", type=float, metavar="F", help="of dots: adds fixed and free surroundings")
    parser.add_argument("--diameter", type=float, metavar="A", help="of the dot, Å: adds energies")
    parser.add_argument(
        "--burgers", type=float, metavar="A", help="Burgers vector, Å (default: the dot's lattice constant)"
    )
    parser.add_argument("--curve", action="store_true", help="energy against loading; needs --diameter")
    add_options(parser, OutputOptions, names=("plot",))
    add_options(parser, CrystalOptions, names=("dataset", "temperature", "crystals"))


def elastic_command(args: argparse.Namespace) -> int:
    """Share the misfit."""
    if args.film or args.substrate:
        if not (args.film and args.substrate) or args.dot or args.matrix:
            raise UsageError("give --film and --substrate, or --dot and --matrix")
        return _film(args)
    if not (args.dot and args.matrix):
        raise UsageError("give --dot and --matrix, or --film and --substrate")
    if (args.curve or args.plot) and args.diameter is None:
        raise UsageError("--curve and --plot need --diameter")
    documents = [_dot(matrix, args) for matrix in args.matrix]
    if args.plot:
        from qdip_struct.report.figures import save_figure
        from qdip_struct.report.lattice_plots import stability_figure

        curves = [(d["matrix"]["name"], _curve(d, args)) for d in documents]
        save_figure(args.plot, stability_figure(curves), force=args.force)
    _warn(documents)
    document = documents[0] if len(documents) == 1 else {"pairs": documents}
    answer(args, document, text="\n\n".join(dot_text(d) for d in documents))
    return EXIT_DONE


def _film(args: argparse.Namespace) -> int:
    if args.film_thickness is None:
        raise UsageError("--film needs --film-thickness")
    misfit, _, lattices = _misfit(args.film, args.substrate, args)
    film, substrate = (_moduli(name, role, args) for name, role in ((args.film, "dot"), (args.substrate, "matrix")))
    shared = share_film(
        misfit,
        film=film,
        substrate=substrate,
        film_thickness=args.film_thickness,
        substrate_thickness=args.substrate_thickness,
    )
    document: dict[str, Any] = {
        "film": _side(args.film, film),
        "substrate": _side(args.substrate, substrate),
        "lattices": lattices,
        "misfit": misfit,
        "film_strain": shared.film_strain,
        "substrate_strain": shared.substrate_strain,
        "energy_j_per_m2": shared.energy_j_per_m2,
    }
    _warn([document])
    answer(args, document, text=film_text(document))
    return EXIT_DONE


def _warn(documents: list[dict[str, Any]]) -> None:
    told = [text for d in documents for entry in d["lattices"].values() for text in entry["lattice_warnings"]]
    for d in documents:
        told += apart_in_temperature({role: entry["temperature_kelvin"] for role, entry in d["lattices"].items()})
    warn_of(told)


def _dot(matrix: str, args: argparse.Namespace) -> dict[str, Any]:
    misfit, a_dot, lattices = _misfit(args.dot, matrix, args)
    dot, host = _moduli(args.dot, "dot", args), _moduli(matrix, "matrix", args)
    burgers = args.burgers if args.burgers is not None else a_dot
    hosts = [(host, host.source)]
    if "matrix" not in number_pairs(args.shear, keys=("dot", "matrix"), option="--shear") and not host.assumption:
        other = isotropic_moduli(host.bulk, name=host.name, source=host.source)
        hosts.append((other, f"Poisson's ratio {ASSUMED_POISSON_RATIO:g} (assumed)"))
    surroundings: list[Surroundings] = ["infinite"] if args.volume_fraction is None else ["infinite", "fixed", "free"]
    cases = [
        _case(misfit, around, dot=dot, matrix=moduli, shear_from=shear_from, args=args)
        for moduli, shear_from in hosts
        for around in surroundings
    ]
    document: dict[str, Any] = {
        "dot": _side(args.dot, dot),
        "matrix": _side(matrix, host),
        "lattices": lattices,
        "misfit": misfit,
        "cases": cases,
        "dot_strain_range": [min(c["dot_strain"] for c in cases), max(c["dot_strain"] for c in cases)],
        "burgers_angstrom": burgers,
        "critical_diameter_angstrom": {
            model: critical_diameter(misfit, dot=dot, matrix=host, burgers=burgers, model=model)
            for model in DIAMETER_MODELS
        },
        "critical_spacing_angstrom": {
            "matthews_blakeslee": critical_spacing(misfit, matrix=host, burgers=burgers),
        },
    }
    if args.curve:
        curve = _curve(document, args)
        document["curve_diameter_angstrom"] = args.diameter
        document["critical_volume_fraction"] = curve.critical_fraction
        document["curve"] = _curve_rows(curve)
    return document


def _case(
    misfit: float, around: Surroundings, *, dot: Moduli, matrix: Moduli, shear_from: str, args: argparse.Namespace
) -> dict[str, Any]:
    """Strains, stress and energies of the dot for one shear modulus of the matrix and one kind of surroundings."""
    shared = share_dot(misfit, dot=dot, matrix=matrix, surroundings=around, volume_fraction=args.volume_fraction or 0.0)
    energies = {}
    if args.diameter is not None:
        check_positive(args.diameter, what="--diameter", unit="Å")
        energies = {
            "energy_ev": shared.energy_ev(args.diameter),
            "energy_j_per_m2": shared.energy_j_per_m2(args.diameter),
        }
    return {
        "surroundings": around,
        "volume_fraction": shared.volume_fraction,
        "shear_matrix_gpa": matrix.shear,
        "shear_matrix_from": matrix.assumption or shear_from,
        "dot_strain": shared.dot_strain,
        "matrix_radial_strain": shared.matrix_radial_strain,
        "matrix_hoop_strain": shared.matrix_hoop_strain,
        "dot_stress_gpa": shared.pressure_gpa,
        **energies,
    }


def _curve_rows(curve: StabilityCurve) -> list[dict[str, Any]]:
    return [
        {
            "volume_fraction": float(curve.volume_fraction[i]),
            "spacing_angstrom": float(curve.spacing[i]),
            "coherent": bool(curve.coherent[i]),
            "stored_j_per_cm3": float(curve.stored[i]),
            "elastic_j_per_cm3": float(curve.elastic[i]),
        }
        for i in range(len(curve.volume_fraction))
    ]


def _curve(document: dict[str, Any], args: argparse.Namespace) -> StabilityCurve:
    return stability_curve(
        document["misfit"],
        dot=_moduli(document["dot"]["name"], "dot", args),
        matrix=_moduli(document["matrix"]["name"], "matrix", args),
        diameter=args.diameter,
        burgers=document["burgers_angstrom"],
        volume_fractions=np.round(np.linspace(0.005, 0.4, 80), 6),
    )


def _misfit(dot: str, matrix: str, args: argparse.Namespace) -> tuple[float, float, dict[str, Any]]:
    files = tuple(args.crystals)
    found: dict[str, Any] = {}
    for role, name in (("dot", dot), ("matrix", matrix)):
        if role == "dot" and args.dot_lattice is not None:
            check_lattice(args.dot_lattice, what="--dot-lattice")
            found[role] = {
                "a_angstrom": args.dot_lattice,
                "temperature_kelvin": None,
                "source": "given",
                "lattice_warnings": (),
            }
            continue
        if args.misfit is not None and role == "matrix":
            continue
        mixed = mixed_lattice_constant(name, dataset=args.dataset, temperature=args.temperature, files=files)
        found[role] = {
            "a_angstrom": mixed.a_angstrom,
            "temperature_kelvin": mixed.temperature_kelvin,
            "source": mixed.source,
            "lattice_warnings": mixed.warnings,
        }
    a_dot = found["dot"]["a_angstrom"]
    if args.misfit is not None:
        return args.misfit, a_dot, found
    return round((found["matrix"]["a_angstrom"] - a_dot) / a_dot, 12) + 0.0, a_dot, found


def _moduli(name: str, role: str, args: argparse.Namespace) -> Moduli:
    bulk = number_pairs(args.bulk, keys=("dot", "matrix"), option="--bulk").get(role)
    shear = number_pairs(args.shear, keys=("dot", "matrix"), option="--shear").get(role)
    known = mixed_moduli(parse_formula(name), files=tuple(args.crystals))
    if bulk is None and shear is None:
        if known is None:
            raise UsageError(f"no elastic moduli are known for {name}; give --bulk {role}=GPA and --shear {role}=GPA")
        return known
    if bulk is None:
        if known is None:
            raise UsageError(f"no bulk modulus is known for {name}; give --bulk {role}=GPA")
        bulk = known.bulk
    if shear is None and known is not None and not known.assumption:
        return isotropic_moduli(bulk, shear=known.shear, name=name, source=f"K given; G: {known.source}")
    return isotropic_moduli(bulk, shear=shear, name=name, source="given")


def _side(name: str, moduli: Moduli) -> dict[str, Any]:
    return {
        "name": name,
        "bulk_gpa": moduli.bulk,
        "shear_gpa": moduli.shear,
        "poisson_ratio": moduli.poisson,
        "biaxial_gpa": moduli.biaxial,
        "source": moduli.source,
        "assumption": moduli.assumption,
    }
