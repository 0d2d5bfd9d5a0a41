"""Misfit of a dot in a mixed matrix against composition: zero-misfit composition, tolerance window, every point.

Lattice constants in Å, temperatures in K, misfit and strain as fractions. In A(B,C)3 the fraction is that of the
first species on the mixed site. f = (a_matrix - a_dot) / denominator; f > 0 stretches the dot. Both sides come from
one data set. Also per composition: the strain that an infinite matrix leaves in a spherical dot (isotropic elasticity)
and the smallest coincidence cell of the two (pseudo-)cubic crystals on --plane. Several --dot and --matrix are screened
in all pairs; two free sites make a grid.

examples:
  qdip screen --dot PbS --matrix 'CsPb(Br,I)3' --dataset liu2019
  qdip screen --dot PbS --matrix 'CsPb(Br,I)3' --dataset liu2019 --dot-lattice 5.97 --json
  qdip screen --dot PbS --matrix 'CsPb(Br,I)3' --dataset xrd_298K --temperature 298
"""

import argparse
import math
from typing import Any

import numpy as np

from qdip_struct.base.errors import EXIT_DONE, UsageError
from qdip_struct.base.options import add_options
from qdip_struct.cli.console import answer, at_kelvin, note, table, warn_of
from qdip_struct.matching.composition_grid import Side
from qdip_struct.matching.misfit import DENOMINATORS
from qdip_struct.matching.planes import parse_plane
from qdip_struct.matching.screening import Screen, screen, temperature_sweep
from qdip_struct.materials.crystals import apart_in_temperature
from qdip_struct.materials.options import CrystalOptions, OutputOptions


def add_screen_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``qdip screen``."""
    parser.add_argument("--dot", action="append", required=True, metavar="FORMULA", help="PbS, 'Pb(S,Se)'; repeatable")
    parser.add_argument(
        "--matrix", action="append", required=True, metavar="FORMULA", help="'CsPb(Br,I)3', MAPbI3; repeatable"
    )
    parser.add_argument(
        "--points", type=int, default=101, metavar="N", help="points on the composition axis (default: 101)"
    )
    parser.add_argument(
        "--temperatures", metavar="FROM,TO,N", help="also the zero-misfit composition at N temperatures, K"
    )
    parser.add_argument("--dot-lattice", type=float, metavar="A", help="lattice constant of the dot, Å")
    parser.add_argument(
        "--denominator", choices=DENOMINATORS, default="dot", help="what f is divided by (default: dot)"
    )
    parser.add_argument(
        "--window", type=float, default=0.002, metavar="F", help="|f| of the window, fraction (default: 0.002)"
    )
    parser.add_argument(
        "--other-points", type=int, default=11, metavar="N", help="points on every other axis (default: 11)"
    )
    parser.add_argument(
        "--bowing", action="append", default=[], metavar="Br-I=B", help="bowing of a pair, Å; repeatable"
    )
    parser.add_argument("--plane", default="100", metavar="HKL", help="plane of both crystals (default: 100)")
    add_options(parser, CrystalOptions, names=("dataset", "temperature", "crystals", "max_area", "max_strain"))
    add_options(
        parser, OutputOptions, names=("plot",), told={"plot": "figure (png, svg or pdf) of one dot in one matrix"}
    )


def screen_command(args: argparse.Namespace) -> int:
    """Screen every dot in every matrix."""
    if args.plot and len(args.dot) * len(args.matrix) != 1:
        raise UsageError("--plot draws one dot in one matrix")
    documents, texts = [], []
    for dot in args.dot:
        for matrix in args.matrix:
            options: dict[str, Any] = {
                "dataset": args.dataset,
                "dot_lattice": args.dot_lattice,
                "denominator": args.denominator,
                "tolerance": args.window,
                "bowing": _bowing(args.bowing),
                "plane": parse_plane(args.plane),
                "max_area": args.max_area,
                "max_strain": args.max_strain,
                "files": tuple(args.crystals),
            }
            result = screen(
                dot,
                matrix=matrix,
                temperature=args.temperature,
                points=args.points,
                other_points=args.other_points,
                **options,
            )
            document = _document(result)
            sweep: tuple[Screen, ...] = ()
            if args.temperatures:
                sweep = temperature_sweep(
                    dot, matrix=matrix, temperatures=_range(args.temperatures), points=2, other_points=2, **options
                )
                document["temperatures"] = [
                    {"temperature_kelvin": s.temperature_kelvin, **_closed_form(s)} for s in sweep
                ]
            documents.append(document)
            texts.append(_text(result) + _sweep_text(sweep))
            if args.plot:
                from qdip_struct.report.figures import save_figure
                from qdip_struct.report.lattice_plots import screen_figure

                save_figure(args.plot, screen_figure(result), force=args.force)
    for line in dict.fromkeys(remark for document in documents for remark in document["remarks"]):
        note(line)
    warn_of(told for d in documents for side in ("dot", "matrix") for told in d[side]["lattice_warnings"])
    answer(args, documents[0] if len(documents) == 1 else {"pairs": documents}, text="\n\n".join(texts))
    return EXIT_DONE


def _bowing(words: list[str]) -> dict[tuple[str, str], float]:
    found = {}
    for word in words:
        pair, equals, value = word.partition("=")
        one, dash, other = pair.partition("-")
        try:
            found[(one.strip(), other.strip())] = float(value)
        except ValueError:
            equals = ""
        if not (equals and dash and one and other):
            raise UsageError(f"cannot read the bowing '{word}'; expected for example Br-I=0.02")
    return found


def _range(text: str) -> list[float]:
    try:
        start, end, count = text.split(",")
        low, high, number = float(start), float(end), int(count)
    except ValueError:
        raise UsageError(f"cannot read --temperatures '{text}'; expected FROM,TO,N such as 200,400,5") from None
    if not (1 <= number <= 1000 and math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"--temperatures '{text}': expected 1 to 1000 finite temperatures")
    return [float(t) for t in np.linspace(low, high, number)]


def _remarks(result: Screen) -> list[str]:
    lines = [f"lattice constant of the dot: {_lattice(result.dot)}, {result.dot.source}"]
    if result.dot.formula.text == "PbS" and result.matrix.formula.text in ("CsPb(Br,I)3", "CsPb(I,Br)3"):
        lines.append(
            "Liu et al. 2019 state the match of PbS near 66 % Br with |f| < 0.2 %: that needs a(PbS) = 5.97 Å, the "
            "value of Ning et al. 2015; with the 5.94 Å of Liu et al. their end points 5.85 and 6.21 Å match at 75 %"
        )
    datasets = tuple(dict.fromkeys((*result.dot.datasets, *result.matrix.datasets)))
    if len(datasets) > 1:
        lines.append(f"lattice constants come from several data sets, as {datasets[0]} says: {', '.join(datasets)}")
    sides = {side.formula.text: side.temperature_kelvin for side in (result.dot, result.matrix)}
    return [*lines, *result.assumptions, *(f"warning: {told}" for told in apart_in_temperature(sides))]


def _lattice(side: Side) -> str:
    return "mixed" if side.a_angstrom is None else f"{side.a_angstrom:.4f} Å"


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.formula.text,
        "a_angstrom": side.a_angstrom,
        "source": side.source,
        "ends": [
            {"formula": e.formula, "a_angstrom": e.a_angstrom, "uncertainty_angstrom": e.uncertainty_angstrom}
            for e in side.ends
        ],
        "temperature_kelvin": side.temperature_kelvin,
        "lattice_warnings": side.warnings,
    }


def _document(result: Screen) -> dict[str, Any]:
    main = result.fractions[:, -1] if result.axes else None
    points = []
    for index in range(len(result.a_matrix)):
        points.append(
            {
                "fraction": None if main is None else float(main[index]),
                "fractions": {a.name: float(x) for a, x in zip(result.axes, result.fractions[index], strict=True)},
                "formula": result.formula_at(index, "matrix"),
                "dot_formula": result.formula_at(index, "dot"),
                "a_dot_angstrom": float(result.a_dot[index]),
                "a_matrix_angstrom": float(result.a_matrix[index]),
                "mismatch": float(result.mismatch[index]),
                "mismatch_uncertainty": float(result.mismatch_uncertainty[index]),
                "imposed_strain": float(result.imposed_strain[index]),
                "dot_strain": float(result.dot_strain[index]),
                "match_area_angstrom2": float(result.match_area[index]),
                "match_strain": float(result.match_strain[index]),
            }
        )
    return {
        "dot": _side(result.dot),
        "matrix": _side(result.matrix),
        "dataset": result.dataset,
        "temperature_kelvin": result.temperature_kelvin,
        "denominator": result.denominator,
        "tolerance": result.tolerance,
        "plane": result.plane,
        "models": {
            "dot_strain": "isotropic sphere in an infinite matrix, f·4G_m/(3K_d + 4G_m)",
            "match": "smallest coincidence cell of the plane of both crystals; strain of the dot's plane on the matrix",
        },
        "axes": [
            {"name": axis.name, "side": axis.side, "site": axis.site, "species": axis.species} for axis in result.axes
        ],
        **_closed_form(result),
        "points": points,
        "remarks": _remarks(result),
    }


def _closed_form(result: Screen) -> dict[str, Any]:
    return {
        "zero_mismatch": [
            {
                "fraction": m.fraction,
                "fraction_uncertainty": m.fraction_uncertainty,
                "formula": m.formula,
                "a_angstrom": m.a_angstrom,
                "others": dict(m.others),
            }
            for m in result.zero_mismatch
        ],
        "window": [{"from": w.start, "to": w.end, "others": dict(w.others)} for w in result.window],
    }


def _sweep_text(sweep: tuple[Screen, ...]) -> str:
    rows = [
        (f"{s.temperature_kelvin:g}", m.formula, f"{m.fraction:.4f}", f"{m.a_angstrom:.4f}")
        for s in sweep
        for m in s.zero_mismatch
    ]
    return "\n\n" + table(("T K", "zero misfit at", "fraction", "a Å"), rows) if sweep else ""


def _text(result: Screen) -> str:
    lines = [
        f"{result.dot.formula.text} in {result.matrix.formula.text}, data set {result.dataset}, "
        f"f = (a_matrix - a_dot)/a_{result.denominator}",
        *(
            f"{side.name + ':':7s} {_lattice(side)}{at_kelvin(side.temperature_kelvin)}, {side.source}"
            for side in (result.dot, result.matrix)
        ),
    ]
    for match in result.zero_mismatch:
        others = "".join(f", {name} {x:.2f}" for name, x in match.others.items())
        fraction = f"{match.fraction:.3f} +- {match.fraction_uncertainty:.3f}"
        lines.append(f"zero misfit at fraction {fraction}: {match.formula}, {match.a_angstrom:.4f} Å{others}")
    if result.axes and not result.zero_mismatch:
        lines.append("no composition has zero misfit")
    for window in result.window:
        others = "".join(f", {name} {x:.2f}" for name, x in window.others.items())
        lines.append(f"|f| <= {result.tolerance:g} from {window.start:.3f} to {window.end:.3f}{others}")
    step = max(1, (len(result.a_matrix) - 1) // 10)
    rows = [
        (
            result.formula_at(i, "matrix"),
            result.formula_at(i, "dot"),
            f"{result.a_matrix[i]:.4f}",
            f"{result.a_dot[i]:.4f}",
            f"{100 * result.mismatch[i]:+.2f}%",
            f"{100 * result.mismatch_uncertainty[i]:.2f}%",
            None if np.isnan(result.dot_strain[i]) else f"{100 * result.dot_strain[i]:+.2f}%",
            None if np.isnan(result.match_area[i]) else f"{result.match_area[i]:.1f}",
        )
        for i in range(0, len(result.a_matrix), step)
    ]
    header = ("matrix", "dot", "a matrix Å", "a dot Å", "f", "u(f)", "dot strain", "cell Å²")
    return "\n".join(lines) + "\n\n" + table(header, rows)
