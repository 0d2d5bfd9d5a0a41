"""Potentials by name: what is known, what is missing and how to get it, and that nothing is loaded unasked."""

import importlib
from types import SimpleNamespace

import pytest
from ase.build import bulk

from qdip_struct.base.errors import DataError, ToolError, UsageError
from qdip_struct.mlip.models import MODELS, LoadedModel, check_weights, find_model, load_model


def test_models_are_known_by_name():
    assert {"chgnet", "sevennet", "mace"} <= set(MODELS)
    assert all(find_model(name).name == name for name in MODELS)
    with pytest.raises(UsageError, match="unknown model 'nothing'; known: chgnet, sevennet"):
        load_model("nothing")
    with pytest.raises(UsageError, match="threads"):
        load_model("chgnet", threads=0)


def test_a_model_without_weights_says_where_to_get_them(tmp_path):
    with pytest.raises(UsageError, match=r"mace.*--weights FILE.*mace-foundations"):
        load_model("mace")
    with pytest.raises(DataError, match=r"no such weights file.*mace-foundations"):
        load_model("mace", weights=tmp_path / "none.model")
    empty = tmp_path / "empty.model"
    empty.touch()
    with pytest.raises(DataError, match="empty"):
        check_weights(find_model("mace"), empty)
    with pytest.raises(UsageError, match="comes with its weights"):
        load_model("chgnet", weights=empty)


@pytest.mark.parametrize("name", list(MODELS))
def test_a_missing_package_is_named_with_its_remedy(name, monkeypatch, tmp_path):
    weights = tmp_path / "some.model"
    weights.write_bytes(b"some")

    def without(wanted, package=None):
        raise ImportError(f"No module named {wanted}", name=wanted)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(ToolError, match=f"pip install {MODELS[name].distribution}"):
        load_model(name, weights=weights if MODELS[name].own_weights == "required" else None)


def test_unknown_elements_are_refused():
    potential = LoadedModel(SimpleNamespace(), MODELS["mace"], "", None, None, frozenset({82}))
    potential.refuse_unknown_elements(bulk("Pb", "fcc", a=5.0))
    with pytest.raises(DataError, match="does not know S"):
        potential.refuse_unknown_elements(bulk("PbS", "rocksalt", a=6.0))


@pytest.mark.slow
def test_the_weights_of_sevennet_are_inside_its_wheel(tmp_path):
    pytest.importorskip("sevenn", reason="SevenNet is not installed")
    found = load_model("sevennet")
    assert found.version.startswith("SevenNet_0__11Jul2024 (sevenn ")
    assert len(found.weights_sha256) == 64
    assert {55, 82, 16, 35, 53} <= found.elements
    foreign = tmp_path / "foreign.pth"
    foreign.write_bytes(b"cos\nsystem\n(S'touch harm'\ntR.")
    with pytest.raises(DataError, match="holds no weights"):
        load_model("sevennet", weights=foreign)
    with pytest.raises(ToolError, match="cuda"):
        load_model("sevennet", device="cuda")


@pytest.mark.slow
def test_mace_loads_a_given_file(tmp_path):
    """Random weights of a small MACE: the file, the elements and the forces are what is looked at, not the physics."""
    pytest.importorskip("mace", reason="MACE is not installed")
    import numpy as np
    import torch
    from e3nn import o3
    from mace.modules import ScaleShiftMACE, interaction_classes

    torch.manual_seed(0)
    interaction = interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = ScaleShiftMACE(
        atomic_inter_scale=1.0, atomic_inter_shift=0.0, r_max=4.0, num_bessel=4, num_polynomial_cutoff=5, max_ell=1,
        interaction_cls=interaction, interaction_cls_first=interaction, num_interactions=2, num_elements=2,
        hidden_irreps=o3.Irreps("4x0e"), MLP_irreps=o3.Irreps("4x0e"), atomic_energies=np.zeros(2),
        avg_num_neighbors=6.0, atomic_numbers=[16, 82], correlation=1, gate=torch.nn.functional.silu,
    ).double()  # fmt: skip
    file = tmp_path / "small.model"
    torch.save(model, file)
    found = load_model("mace", weights=file, stress=True)
    assert found.elements == {16, 82}
    assert found.weights == "small.model"
    assert found.version.startswith("small.model (mace-torch ")
    atoms = bulk("PbS", "rocksalt", a=6.0, cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = found.calculator
    force = atoms.get_forces()[3, 0]
    energies = []
    for shift in (-1e-4, 1e-4):
        moved = atoms.copy()
        moved.positions[3, 0] += shift
        moved.calc = found.calculator
        energies.append(moved.get_potential_energy())
    assert force == pytest.approx((energies[0] - energies[1]) / 2e-4, abs=1e-5)
    assert atoms.get_stress().shape == (6,)
    foreign = tmp_path / "foreign.model"
    foreign.write_bytes(b"not weights")
    with pytest.raises(DataError, match="holds no weights"):
        load_model("mace", weights=foreign)
