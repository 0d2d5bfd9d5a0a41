"""Coincidence cells: against a slow search written here, against pymatgen, and under every change of description."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdip_struct.base.errors import UsageError
from qdip_struct.matching.coincidence import find_matches, pareto, smallest_matches
from qdip_struct.matching.nets import net_from_vectors, surface_net
from qdip_struct.matching.superlattices import find_pairs, superlattices
from qdip_struct.materials.crystals import with_edges
from qdip_struct.materials.datasets import get_crystal

STEADY = settings(deadline=None, derandomize=True, max_examples=12)
LENGTH, RATIO, ANGLE = st.floats(3.0, 6.0), st.floats(1.0, 1.6), st.floats(60.0, 120.0)


@st.composite
def nets(draw):
    a, ratio, angle = draw(LENGTH), draw(RATIO), draw(ANGLE)
    kind = draw(st.sampled_from(["oblique", "rectangle", "square", "hexagon", "rhombus"]))
    if kind in ("square", "rectangle"):
        angle = 90.0
    if kind == "hexagon":
        angle = 120.0
    if kind in ("square", "hexagon", "rhombus"):
        ratio = 1.0
    b = a * ratio
    return [[a, 0.0], [b * math.cos(math.radians(angle)), b * math.sin(math.radians(angle))]]


def shortest_first(rows):
    """A reduced basis by trying small combinations until nothing gets shorter."""
    rows = np.array(rows, dtype=float)
    while True:
        options = [m * rows[0] + n * rows[1] for m in (-1, 0, 1) for n in (-1, 0, 1)]
        best = rows
        for p, q in itertools.permutations(options, 2):
            same = abs(abs(np.linalg.det([p, q])) - abs(np.linalg.det(rows))) < 1e-9
            if same and np.sum(np.square([p, q])) < np.sum(np.square(best)) - 1e-9:
                best = np.array([p, q])
        if best is rows:
            return rows
        rows = best


def every_superlattice(net, largest):
    """All of them, as bases; no symmetry, no classes."""
    for index in range(1, largest + 1):
        for d in range(1, index + 1):
            if index % d == 0:
                for k in range(index // d):
                    yield index, shortest_first(np.array([[d, k], [0, index // d]]) @ np.array(net))


def least_strain(film, substrate, limit):
    """Smallest strain over every linear map of one cell onto the other lattice, by trying all short vectors."""
    reach = range(-4, 5)
    vectors = [m * substrate[0] + n * substrate[1] for m in reach for n in reach if (m, n) != (0, 0)]
    area = abs(np.linalg.det(substrate))
    best = None
    close = [[v for v in vectors if abs(np.linalg.norm(v) / np.linalg.norm(row) - 1.0) <= limit + 1e-9] for row in film]
    for p, q in itertools.product(*close):
        if abs(abs(np.linalg.det([p, q])) - area) > 1e-6 * area:
            continue
        stretches = np.linalg.svd(np.linalg.solve(film, np.array([p, q])), compute_uv=False)
        strain = max(abs(stretches - 1.0))
        if best is None or strain < best - 1e-12:
            best = strain
    return best if best is not None and best <= limit else None


@pytest.mark.slow
@settings(deadline=None, derandomize=True, max_examples=40)
@given(nets(), nets(), st.floats(0.02, 0.06))
def test_all_pairs_of_a_slow_search_are_found_once(film, substrate, limit):
    compare_with_slow_search(film, substrate, limit, largest_area=90.0)


@settings(deadline=None, derandomize=True, max_examples=12)
@given(nets(), nets(), st.floats(0.02, 0.06))
def test_the_pairs_of_a_short_slow_search_are_found_once(film, substrate, limit):
    compare_with_slow_search(film, substrate, limit, largest_area=60.0)


def compare_with_slow_search(film, substrate, limit, *, largest_area):
    film_area, substrate_area = abs(np.linalg.det(film)), abs(np.linalg.det(substrate))
    slow: Counter = Counter()
    films = list(every_superlattice(film, int(largest_area / (1 - limit) ** 2 / film_area)))
    for index, cell in every_superlattice(substrate, int(largest_area / substrate_area * (1 + 1e-9))):
        for film_index, film_cell in films:
            ratio = index * substrate_area / (film_index * film_area)
            if not (1 - limit) ** 2 - 1e-9 <= ratio <= (1 + limit) ** 2 + 1e-9:
                continue
            strain = least_strain(film_cell, cell, limit)
            if strain is not None:
                slow[(film_index, index, round(strain, 7))] += 1
    one, other = net_from_vectors(film), net_from_vectors(substrate)
    inner = superlattices(one, max_index=int(largest_area / (1 - limit) ** 2 / one.area * (1 + 1e-9)))
    outer = superlattices(other, max_index=int(largest_area / other.area * (1 + 1e-9)))
    pairs = find_pairs(inner, substrates=outer, stretch_range=(1 - limit, 1 + limit))
    fast: Counter = Counter()
    for i, j, stretch in zip(pairs.film, pairs.substrate, pairs.stretch, strict=True):
        key = (int(inner.index[i]), int(outer.index[j]), round(float(np.abs(stretch - 1).max()), 7))
        fast[key] += int(inner.multiplicity[i] * outer.multiplicity[j])
    # strains on the limit or on a rounding edge may fall on either side
    edge = {key for key in slow.keys() | fast.keys() if abs(key[2] - limit) < 1e-6}
    assert totals(slow, edge) == totals(fast, edge)


def totals(counts, edge):
    merged: Counter = Counter()
    for (film, substrate, strain), number in counts.items():
        if (film, substrate, strain) not in edge:
            merged[(film, substrate, round(strain, 5))] += number
    return merged


@STEADY
@given(nets(), st.integers(2, 14))
def test_the_classes_together_are_all_superlattices(net, largest):
    found = superlattices(net_from_vectors(net), max_index=largest)
    for index in range(1, largest + 1):
        divisors = sum(d for d in range(1, index + 1) if index % d == 0)
        assert int(found.multiplicity[found.index == index].sum()) == divisors
    assert np.abs(np.linalg.det(found.matrices)) == pytest.approx(found.index)


def summary(matches):
    return [
        (round(m.area_angstrom2, 5), round(m.film_area_angstrom2, 5), *(round(s, 7) for s in m.strain_principal),
         round(m.angle_degree, 4), m.primitive)
        for m in matches
    ]  # fmt: skip


LIMITS = {"max_area": 150.0, "max_strain": 0.04, "max_angle": 3.0}


@STEADY
@given(nets(), nets(), st.floats(0.0, 360.0))
def test_matches_do_not_depend_on_the_description_of_the_nets(film, substrate, turn):
    reference = sorted(summary(find_matches(net_from_vectors(film), substrate=net_from_vectors(substrate), **LIMITS)))
    angle = math.radians(turn)
    rotation = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    changes = [np.array([[1, 0], [3, 1]]), np.array([[2, 1], [1, 1]]), np.array([[0, 1], [-1, 0]])]
    for change in changes:
        other = net_from_vectors(change @ np.array(film) @ rotation)
        same = net_from_vectors(change.T @ np.array(substrate))
        assert sorted(summary(find_matches(other, substrate=same, **LIMITS))) == reference


@STEADY
@given(nets(), nets())
def test_the_same_list_when_film_and_substrate_change_places(film, substrate):
    one, other = net_from_vectors(film), net_from_vectors(substrate)
    there = find_matches(one, substrate=other, symmetric=True, **LIMITS)
    back = find_matches(other, substrate=one, symmetric=True, **LIMITS)

    def key(match, swapped):
        areas = match.area_angstrom2, match.film_area_angstrom2
        logs = sorted(math.log1p(s) * (-1 if swapped else 1) for s in match.strain_principal)
        return (*(round(a, 4) for a in (areas[::-1] if swapped else areas)), *(round(x, 6) for x in logs))

    # a strain on the limit may fall on either side
    edge = LIMITS["max_strain"]
    left = {key(m, False) for m in there if abs(max(abs(math.log1p(s)) for s in m.strain_principal) - edge) > 1e-6}
    right = {key(m, True) for m in back if abs(max(abs(math.log1p(s)) for s in m.strain_principal) - edge) > 1e-6}
    assert left == right or len(left ^ right) == 0


@pytest.mark.parametrize("steps", [-2, -1, 1, 2])
def test_two_units_in_the_last_place_change_nothing(steps):
    film, substrate = get_crystal("PbS"), get_crystal("CsPbBr3")
    reference = None
    for a, b in ((0, 0), (steps, 0), (0, steps), (steps, -steps)):
        moved = []
        for crystal, n in ((film, a), (substrate, b)):
            value = crystal.a_angstrom
            for _ in range(abs(n)):
                value = float(np.nextafter(value, np.inf if n > 0 else 0.0))
            moved.append(surface_net(with_edges(crystal, edges=[value]), plane=(1, 0, 0)))
        matches = find_matches(moved[0], substrate=moved[1])
        found = [(m.film_matrix, m.substrate_matrix, *(round(s, 9) for s in m.strain_principal)) for m in matches]
        reference = reference or found
        assert found == reference


@STEADY
@given(nets(), nets())
def test_matrices_really_give_the_strain(film, substrate):
    one, other = net_from_vectors(film), net_from_vectors(substrate)
    matches = find_matches(one, substrate=other, **LIMITS)
    seen = set()
    for match in matches:
        cell = np.array(match.film_matrix) @ np.array(one.vectors)
        target = np.array(match.substrate_matrix) @ np.array(other.vectors)
        stretches = np.linalg.svd(np.linalg.solve(cell, target), compute_uv=False)
        assert stretches - 1.0 == pytest.approx(match.strain_principal, abs=1e-9)
        assert abs(np.linalg.det(target)) == pytest.approx(match.area_angstrom2)
        assert abs(np.linalg.det(cell)) == pytest.approx(match.film_area_angstrom2)
        assert match.strain_max <= LIMITS["max_strain"] * (1 + 1e-9) and match.area_angstrom2 <= 150.0 * (1 + 1e-9)
        assert np.linalg.det(target) > 0
        assert (np.linalg.det(cell) < 0) == match.mirrored
        assert (match.film_matrix, match.substrate_matrix) not in seen
        seen.add((match.film_matrix, match.substrate_matrix))


def reduced(rows):
    rows = shortest_first(np.asarray(rows))
    gram = rows @ rows.T
    return (*(round(float(x), 3) for x in sorted([gram[0, 0], gram[1, 1]])), round(abs(float(gram[0, 1])), 3))


@pytest.mark.parametrize("substrate, plane, area", [("CsPbBr3:cubic", (1, 0, 0), 280), ("CsPbI3:cubic", (1, 0, 0), 700),
                                                    ("MAPbI3", (1, 1, 0), 700), ("CsPbBr3:cubic", (1, 1, 1), 400),
                                                    ("CdSe:wurtzite", (0, 0, 1), 300)])  # fmt: skip
def test_everything_pymatgen_finds_is_found_once(substrate, plane, area):
    zsl = pytest.importorskip("pymatgen.analysis.interfaces.zsl")
    film_net = surface_net(get_crystal("PbS"), plane=(1, 1, 1) if plane == (1, 1, 1) else (1, 0, 0))
    net = surface_net(get_crystal(substrate), plane=plane)
    generator = zsl.ZSLGenerator(max_area=area, max_length_tol=0.03, max_angle_tol=0.01)
    film_rows = np.column_stack([np.array(film_net.vectors), [0, 0]])
    rows = np.column_stack([np.array(net.vectors), [0, 0]])
    theirs = set()
    for found in generator(film_rows, rows, lowest=False):
        theirs.add(
            (reduced(np.array(found.film_sl_vectors)[:, :2]), reduced(np.array(found.substrate_sl_vectors)[:, :2]))
        )
    ours = Counter(
        (reduced(np.array(m.film_matrix) @ np.array(film_net.vectors)),
         reduced(np.array(m.substrate_matrix) @ np.array(net.vectors)))
        for m in find_matches(film_net, substrate=net, max_area=area, max_strain=0.05, max_angle=3.0)
    )  # fmt: skip
    assert theirs and theirs <= set(ours)
    assert all(ours[key] == 1 for key in theirs)
    if substrate == "CsPbBr3:cubic" and plane == (1, 0, 0):
        # pymatgen's limit is on both cells
        within = find_matches(film_net, substrate=net, max_area=area, max_strain=0.03, max_angle=0.5)
        assert len([m for m in within if m.film_area_angstrom2 < area]) == len(theirs)


def test_the_primitive_cells_of_a_known_case():
    film, substrate = (
        surface_net(get_crystal("PbS"), plane=(1, 0, 0)),
        surface_net(get_crystal("CsPbBr3"), plane=(1, 0, 0)),
    )
    matches = find_matches(film, substrate=substrate)
    # the cube-on-cube cell (2 film cells on 1) has one supercell per class of superlattices of the square net
    same_map = [m for m in matches if m.film_area_angstrom2 / m.area_angstrom2 == pytest.approx((5.936 / 5.874) ** 2)]
    square = superlattices(net_from_vectors([[1, 0], [0, 1]]), max_index=11)
    assert len([m for m in same_map if m.strain_principal[0] == pytest.approx(m.strain_principal[1])]) >= len(
        square.index
    )
    assert next(m.area_angstrom2 for m in matches if m.primitive) == pytest.approx(5.874**2)


@pytest.mark.parametrize(
    "film, film_edges, substrate, edges, plane, film_area, area, strains",
    [
        ("PbS", [5.936], "CsPbI3:cubic", [6.289], (1, 0, 0), 158.56, 158.21, (-0.0011, -0.0011)),
        ("PbS", [5.936], "CsPbBr3:cubic", [5.874], (1, 0, 0), 35.24, 34.50, (-0.0104, -0.0104)),
        ("PbS", [5.936], "MAPbI3:tetragonal", [8.85, 12.64], (1, 1, 0), 158.56, 158.20, (0.0038, -0.0061)),
    ],
)
def test_published_matches(film, film_edges, substrate, edges, plane, film_area, area, strains):
    one = surface_net(with_edges(get_crystal(film), edges=film_edges), plane=(1, 0, 0))
    other = surface_net(with_edges(get_crystal(substrate), edges=edges), plane=plane)
    first = find_matches(one, substrate=other)[0]
    assert first.film_area_angstrom2 == pytest.approx(film_area, abs=0.01)
    assert first.area_angstrom2 == pytest.approx(area, abs=0.01)
    assert first.strain_principal == pytest.approx(strains, abs=1e-4)


def test_the_area_limit_is_inclusive():
    net = net_from_vectors([[5.874, 0], [0, 5.874]])
    for n in (1, 3, 7):
        matches = find_matches(net, substrate=net, max_area=n * 5.874**2)
        assert max(m.area_angstrom2 for m in matches) == pytest.approx(n * 5.874**2)


def test_a_net_matches_itself_with_every_superlattice():
    net = net_from_vectors([[4.0, 0.0], [0.3, 5.1]])
    matches = find_matches(net, substrate=net, max_area=12 * net.area, max_strain=1e-6)
    assert len(matches) == len(superlattices(net, max_index=12).index)
    assert [m.primitive for m in matches].count(True) == 1


def test_pareto_front():
    matches = find_matches(
        surface_net(get_crystal("PbS"), plane=(1, 0, 0)),
        substrate=surface_net(get_crystal("CsPbI3:cubic"), plane=(1, 0, 0)),
        max_area=1600.0,
    )
    front = pareto(matches)
    assert front[0] == matches[0]
    for one, other in itertools.pairwise(front):
        assert other.area_angstrom2 > one.area_angstrom2 and other.strain_max < one.strain_max
    for match in matches:
        assert any(
            f.area_angstrom2 <= match.area_angstrom2 + 1e-6 and f.strain_max <= match.strain_max + 1e-9 for f in front
        )


def test_a_sweep_finds_what_single_searches_find():
    film = surface_net(get_crystal("PbS"), plane=(1, 0, 0))
    base = get_crystal("CsPbBr3")
    scales = np.linspace(0.98, 1.08, 23)
    areas, strains = smallest_matches(
        film, substrate=surface_net(base, plane=(1, 0, 0)), substrate_scales=scales, max_area=250.0
    )
    for scale, area, strain in zip(scales, areas, strains, strict=True):
        single = surface_net(with_edges(base, edges=[base.a_angstrom * float(scale)]), plane=(1, 0, 0))
        matches = find_matches(film, substrate=single, max_area=250.0)
        if not matches:
            assert np.isnan(area) and np.isnan(strain)
            continue
        assert area == pytest.approx(matches[0].area_angstrom2)
        assert strain == pytest.approx(matches[0].strain_max, abs=1e-9)


@pytest.mark.parametrize(
    "name, value",
    [("max_area", -1.0), ("max_area", math.nan), ("max_area", 1e9), ("max_strain", 0.0), ("max_strain", 0.9),
     ("max_angle", math.inf)],
)  # fmt: skip
def test_refusals(name, value):
    net = net_from_vectors([[4, 0], [0, 4]])
    with pytest.raises(UsageError):
        find_matches(net, substrate=net, **{name: value})
    tiny = net_from_vectors([[0.01, 0], [0, 0.01]])
    with pytest.raises(UsageError, match="smaller area"):
        find_matches(tiny, substrate=tiny)


def test_area_below_one_cell_matches_nothing() -> None:
    square = net_from_vectors([[4.0, 0.0], [0.0, 4.0]])
    assert find_matches(square, substrate=square, max_area=15.9) == ()
    area, strain = smallest_matches(square, substrate=square, substrate_scales=[1.0, 1.1], max_area=15.9)
    assert np.isnan(area).all()
    assert np.isnan(strain).all()
    assert [match.area_angstrom2 for match in find_matches(square, substrate=square, max_area=16.0)] == [16.0]
