"""What ``qdip elastic`` prints: its JSON document as text (strains in percent, moduli in GPa, lengths in Å)."""

from typing import Any

from qdip_struct.cli.console import table


def film_text(document: dict[str, Any]) -> str:
    """Text for a film on its substrate: moduli, the strain of both, and the elastic energy per area."""
    lines = [
        *_about(document["film"], "film"),
        *_about(document["substrate"], "substrate"),
        f"misfit {100 * document['misfit']:+.3f} %: film {100 * document['film_strain']:+.3f} %, "
        f"substrate {100 * document['substrate_strain']:+.3f} %",
        f"elastic energy {document['energy_j_per_m2']:.4f} J/m²",
    ]
    return "\n".join(lines)


def dot_text(document: dict[str, Any]) -> str:
    """Text for a dot in its matrix: moduli, lattices, a row per case, critical sizes, and the curve where asked for."""
    lines = [*_about(document["dot"], "dot"), *_about(document["matrix"], "matrix")]
    for role, entry in document["lattices"].items():
        lines.append(f"a({role}) = {entry['a_angstrom']:.4f} Å, {entry['source']}")
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
