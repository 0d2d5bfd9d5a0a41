"""Micrographs: refusals without abTEM, and the lattice of PbS in a simulated picture when it is there."""

import builtins

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from qdip_struct.analysis.diffraction.hrtem import micrograph
from qdip_struct.base.errors import ToolError, UsageError

A = 5.936


def crystal():
    return bulk("PbS", "rocksalt", a=A, cubic=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"beam": 3}, "beam 3"),
        ({"energy_kev": 0.0}, "energy"),
        ({"energy_kev": float("nan")}, "energy"),
        ({"cs_mm": -1.0}, "aberration"),
        ({"defocus_angstrom": float("inf")}, "defocus"),
        ({"sampling_angstrom": 2.0}, "sampling"),
        ({"slice_angstrom": 0.0}, "slice"),
        ({"aperture_mrad": -1.0}, "aperture"),
    ],
)
def test_nonsense_is_refused_before_anything_is_computed(words, message):
    with pytest.raises(UsageError, match=message):
        micrograph(crystal(), **words)


def test_impossible_and_huge_cells_are_refused():
    with pytest.raises(UsageError, match="three-dimensional cell"):
        micrograph(Atoms("Pb"))
    with pytest.raises(UsageError, match="no right-angled cell along c"):
        micrograph(Atoms("Pb", cell=[[5, 0, 0], [1.37, 6, 0], [0.71, 1.93, 7]], pbc=True))
    with pytest.raises(UsageError, match="larger sampling"):
        micrograph(Atoms("Pb", cell=[300, 300, 6], pbc=True), sampling_angstrom=0.1)


def test_a_missing_abtem_is_one_sentence(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "abtem":
            raise ImportError("no abtem")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolError, match=r"pip install 'qdip-struct\[hrtem\]'"):
        micrograph(crystal())


@pytest.mark.slow
def test_the_picture_repeats_with_the_projected_lattice():
    """The face centring (½, ½, 0) across the beam leaves only coefficients with h + k even; 200 is the strongest."""
    pytest.importorskip("abtem", reason="no abTEM: pip install 'qdip-struct[hrtem]'")
    image = micrograph(crystal(), sampling_angstrom=0.2, slice_angstrom=1.5)
    power = np.abs(np.fft.fft2(image.intensity - image.intensity.mean())) ** 2
    h, k = (np.rint(np.fft.fftfreq(n) * n).astype(int) for n in power.shape)
    odd = (h[:, None] + k) % 2 == 1
    assert power[odd].sum() < 1e-9 * power.sum()
    assert power[1, 1] < 0.01 * power[2, 0]
    assert power[2, 0] == pytest.approx(power[0, 2], rel=1e-4)
    assert image.intensity.std() > 0.005
    assert image.defocus_angstrom == pytest.approx(1.2 * np.sqrt(1e7 * 0.0250793), rel=1e-3)
    ny, nx = image.intensity.shape
    assert (image.across, image.up) == ("a", "b")
    assert (ny * image.sampling_angstrom[0], nx * image.sampling_angstrom[1]) == pytest.approx((A, A))


@pytest.mark.slow
def test_an_oblique_cell_gives_the_picture_of_the_right_angled_one():
    """PbS along [011]: the primitive cell, whose vectors meet at 60°, against the same crystal cut at right angles."""
    pytest.importorskip("abtem", reason="no abTEM: pip install 'qdip-struct[hrtem]'")
    half = A / np.sqrt(2)
    places = [[0, 0, 0], [0.5, 0.5, 0.5]]
    straight = Atoms(
        "Pb2S2", scaled_positions=[*places, [0, 0.5, 0], [0.5, 0, 0.5]], cell=[half, A, half], pbc=True
    )  # a along [01-1], b along [100], c along [011]
    words = {"sampling_angstrom": 0.15, "slice_angstrom": 1.0}
    one = micrograph(bulk("PbS", "rocksalt", a=A), beam=0, **words)
    other = micrograph(straight, beam=2, **words)
    assert (one.across, one.up) == ("[0 1 -1]", "[-1 1 1]")
    assert one.intensity.shape == other.intensity.shape
    powers = [np.abs(np.fft.fft2(image.intensity)) ** 2 for image in (one, other)]
    np.testing.assert_allclose(powers[0], powers[1], atol=1e-6 * powers[1].max())
    assert one.intensity.std() == pytest.approx(other.intensity.std(), rel=1e-4)
