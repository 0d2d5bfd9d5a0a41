"""A campaign on disk: equal runs once, written twice nothing changes, moved it goes on, half-written it is mended."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qdip_struct.base.errors import DataError, QdipError, ToolError, UsageError
from qdip_struct.campaign.folder import Written, exclusive_campaign, open_campaign, write_campaign
from qdip_struct.campaign.plan import Plan, make_plan
from qdip_struct.campaign.spec import load_spec
from qdip_struct.runs.cost import estimate_run
from qdip_struct.runs.rundir import distinct, find_run_folders, open_run_folder

CRYSTALS = """\
name: crystals
build:
  bulk: {material: CsBr}
vary:
  lattice: [4.2, 4.3, 4.4]
inputs: {preset: quick, kpoints: "2,2,2"}
"""
SLABS = """\
name: slabs
build:
  slab: {material: CsPbBr3, vacuum: 12}
vary:
  termination: [AX, BX2]
  layers: [3, 5]
inputs: {preset: quick}
"""


def plan_of(text: str, folder: Path, *, texts: bool = True, processes: int = 1) -> Plan:
    folder.mkdir(exist_ok=True)
    (folder / "campaign.yaml").write_text(text)
    return make_plan(load_spec(folder), texts=texts, processes=processes)


def written(text: str, tmp_path: Path, *, force: bool = False) -> Written:
    return write_campaign(plan_of(text, tmp_path / "source"), tmp_path / "camp", force=force)


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_identical_runs_are_one_run_that_every_group_finds(tmp_path: Path) -> None:
    done = written(SLABS, tmp_path)
    rows = {row.path: row for row in done.index.rows}
    assert rows["AX_layers5/slab_bulk"].same_as == "AX_layers3/slab_bulk"
    assert rows["BX2_layers3/slab_bulk"].same_as == "AX_layers3/slab_bulk"
    assert rows["BX2_layers3/reservoir"].same_as == "AX_layers3/reservoir"
    # What is a slab of its own in one group is the other termination in another: there it is the reference.
    assert rows["BX2_layers3/slab"].same_as is None
    assert rows["AX_layers3/slab_other"].same_as == "BX2_layers3/slab"
    found = find_run_folders([tmp_path / "camp"])
    assert len(found) == len(rows) == done.made + done.shared
    assert len(distinct(found)) == done.made
    shared = next(f for f in found if f.link is not None and f.link.parent.name == "BX2_layers3" and "bulk" in f.role)
    assert shared.path == tmp_path / "camp" / "AX_layers3" / "slab_bulk"
    assert (shared.group, shared.role) == ("BX2_layers3", "substrate_bulk")
    assert shared.place == tmp_path / "camp" / "BX2_layers3" / "slab_bulk"
    by_group = {folder.group for folder in found}
    assert by_group == {"AX_layers3", "AX_layers5", "BX2_layers3", "BX2_layers5"}


def test_every_group_is_combined_with_the_runs_it_shares(tmp_path: Path) -> None:
    """The energies of a campaign whose groups share references are those of separate groups with copies of them."""
    from qdip_struct.analysis.energies.study import energies_of

    source = Path(__file__).parents[2] / "workflows" / "interface_energy" / "reference" / "runs"
    camp = tmp_path / "camp"
    shutil.copytree(source, camp / "first")
    (camp / "second").mkdir()
    for run in sorted((camp / "first").iterdir()):
        record = json.loads((run / "run.json").read_text())
        twin = camp / "second" / run.name
        twin.mkdir()
        text = json.dumps({"same_as": f"../../first/{run.name}", **record, "group": "second"})
        (twin / "same_as.json").write_text(text)
    groups = {group["group"]: group for group in energies_of(find_run_folders([camp]))["groups"]}
    assert len(groups) == 2
    first = next(group for name, group in groups.items() if name != "second")
    key = "adsorption_energy_mev_per_angstrom2"
    assert first[key] is not None
    assert groups["second"][key] == pytest.approx(first[key], abs=1e-9)


def test_writing_twice_changes_nothing(tmp_path: Path) -> None:
    first = written(CRYSTALS, tmp_path)
    before = snapshot(tmp_path / "camp")
    again = written(CRYSTALS, tmp_path)
    assert (first.made, first.kept) == (3, 0)
    assert (again.made, again.kept, again.shared) == (0, 3, 0)
    assert snapshot(tmp_path / "camp") == before


def test_same_campaign_same_bytes_with_any_number_of_processes(tmp_path: Path) -> None:
    one = plan_of(SLABS, tmp_path / "a", processes=1)
    two = plan_of(SLABS, tmp_path / "a", processes=2)
    assert [(r.path, r.same_as, r.identity) for r in one.runs] == [(r.path, r.same_as, r.identity) for r in two.runs]
    assert one.runs == two.runs
    looked = plan_of(SLABS, tmp_path / "a", texts=False)
    assert [(r.path, r.same_as, r.identity, r.cost) for r in looked.runs] == [
        (r.path, r.same_as, r.identity, r.cost) for r in one.runs
    ]


def test_estimate_of_the_plan_is_that_of_the_folder(tmp_path: Path) -> None:
    plan = plan_of(CRYSTALS, tmp_path / "source")
    write_campaign(plan, tmp_path / "camp")
    for run in plan.runs:
        assert estimate_run(open_run_folder(tmp_path / "camp" / run.path).record) == run.cost


def test_more_cases_are_added_and_begun_runs_stay(tmp_path: Path) -> None:
    written(CRYSTALS, tmp_path)
    output = tmp_path / "camp" / "lattice4.3" / "bulk" / "run.out"
    output.write_text("begun")
    more = written(CRYSTALS.replace("[4.2, 4.3, 4.4]", "[4.1, 4.3]"), tmp_path)
    assert (more.made, more.kept) == (1, 1)
    assert more.left_over == ("lattice4.2/bulk", "lattice4.4/bulk")
    assert output.read_text() == "begun"
    assert (tmp_path / "camp" / "lattice4.2" / "bulk" / "run.json").exists()


def test_owner_of_a_shared_run_stays_when_a_case_is_put_before_it(tmp_path: Path) -> None:
    written(SLABS.replace("[AX, BX2]", "[BX2]"), tmp_path)
    later = written(SLABS, tmp_path)
    rows = {row.path: row.same_as for row in later.index.rows}
    assert rows["BX2_layers3/slab_bulk"] is None
    assert rows["AX_layers3/slab_bulk"] == "BX2_layers3/slab_bulk"
    assert later.kept > 0


def test_changed_runs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    written(CRYSTALS, tmp_path)
    before = snapshot(tmp_path / "camp")
    changed = CRYSTALS.replace("4.4]", "4.5]").replace("2,2,2", "3,3,3")
    with pytest.raises(UsageError, match=r"lattice4.2/bulk, lattice4.3/bulk differ from what the campaign now asks"):
        written(changed, tmp_path)
    assert snapshot(tmp_path / "camp") == before
    replaced = written(changed, tmp_path, force=True)
    assert replaced.made == 3
    with pytest.raises(UsageError, match="holds the campaign 'crystals', not 'slabs'"):
        written(SLABS, tmp_path)


def test_killed_while_writing_it_is_completed(tmp_path: Path) -> None:
    """kill -9 at some moment of writing; the second call completes what a single one would have written."""
    whole = tmp_path / "whole"
    whole.mkdir()
    written(SLABS, whole)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "campaign.yaml").write_text(SLABS)
    code = (
        "from pathlib import Path\n"
        "from qdip_struct.campaign.spec import load_spec\n"
        "from qdip_struct.campaign.plan import make_plan\n"
        "from qdip_struct.campaign.folder import write_campaign\n"
        "plan = make_plan(load_spec(Path('source')), processes=1)\n"
        "print('go', flush=True)\n"
        "write_campaign(plan, Path('camp'))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    for _ in range(2000):
        if len(list((tmp_path / "camp").glob("*/*"))) > 2:
            break
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    leftover = tmp_path / "camp" / "AX_layers3" / ".slab.abcd1234" / "slab"
    leftover.mkdir(parents=True)
    (leftover / "run.json").write_text("{")
    write_campaign(plan_of(SLABS, tmp_path / "source"), tmp_path / "camp")
    assert snapshot(tmp_path / "camp") == snapshot(whole / "camp")


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    with exclusive_campaign(tmp_path / "camp"), pytest.raises(ToolError, match="being written by another process"):
        written(CRYSTALS, tmp_path)
    assert not (tmp_path / "camp" / "campaign.json").exists()


@pytest.mark.parametrize("how", ["move", "tar"])
def test_the_folder_moves_and_goes_on(how: str, tmp_path: Path) -> None:
    written(SLABS, tmp_path)
    new = tmp_path / "else where" / "it's $HOME"
    new.parent.mkdir()
    if how == "move":
        shutil.move(tmp_path / "camp", new)
    else:
        with tarfile.open(tmp_path / "camp.tar", "w") as archive:
            archive.add(tmp_path / "camp", arcname="inside")
        with tarfile.open(tmp_path / "camp.tar") as archive:
            archive.extractall(tmp_path / "out", filter="data")
        shutil.move(tmp_path / "out" / "inside", new)
        shutil.rmtree(tmp_path / "camp")
    shutil.rmtree(tmp_path / "source")
    for path, content in snapshot(new).items():
        assert str(tmp_path).encode() not in content, path
    index = open_campaign(new)
    assert len(index.run_folders()[0]) == sum(row.same_as is None for row in index.rows)
    assert {folder.path.parents[1] for folder in find_run_folders([new])} == {new}
    again = write_campaign(make_plan(load_spec(new), processes=1), new)
    assert (again.made, again.shared) == (0, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ('{"name": "x"}', "is damaged"),
        ('{"name": "x", "runs": [{"path": "a"}]}', "is damaged"),
    ],
)
def test_damaged_index_is_one_line(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "campaign.json").write_text(content)
    with pytest.raises(DataError, match=message):
        open_campaign(tmp_path)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "a/../../b"])
def test_an_index_cannot_point_outside(path: str, tmp_path: Path) -> None:
    written(CRYSTALS, tmp_path)
    place = tmp_path / "camp" / "campaign.json"
    document = json.loads(place.read_text())
    document["runs"][0]["path"] = path
    place.write_text(json.dumps(document))
    with pytest.raises(DataError, match="outside the campaign"):
        open_campaign(tmp_path / "camp")


def test_a_share_whose_run_is_gone_is_named_and_mended(tmp_path: Path) -> None:
    written(SLABS, tmp_path)
    shutil.rmtree(tmp_path / "camp" / "AX_layers3" / "slab_bulk")
    with pytest.raises(DataError, match=r"points to .*slab_bulk, which is no run folder; submit the campaign again"):
        find_run_folders([tmp_path / "camp"])
    again = written(SLABS, tmp_path)
    assert again.made == 1
    assert len(find_run_folders([tmp_path / "camp"])) == len(again.index.rows)


def test_a_share_takes_no_absolute_path(tmp_path: Path) -> None:
    written(SLABS, tmp_path)
    place = tmp_path / "camp" / "AX_layers5" / "slab_bulk" / "same_as.json"
    record = json.loads(place.read_text())
    place.write_text(json.dumps({**record, "same_as": str(tmp_path / "camp" / "AX_layers3" / "slab_bulk")}))
    with pytest.raises(DataError, match="expected a relative path"):
        open_run_folder(place.parent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("material: CsBr", "material: Nonsense"), r"case lattice4.2: .*Nonsense"),
        (("quick", "quik"), r"case lattice4.2.*|unknown preset 'quik'"),
        (("4.2, 4.3", "0.9, 4.3"), r"case lattice0.9"),
    ],
)
def test_a_case_that_cannot_be_is_named(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(QdipError, match=message):
        plan_of(CRYSTALS.replace(*change), tmp_path / "source")


def test_inputs_differ_by_role_and_references_are_chosen(tmp_path: Path) -> None:
    text = SLABS.replace("preset: quick", "preset: quick, roles: {substrate_bulk: {kpoints: '5,5,5'}}")
    plan = plan_of(text + "references: [substrate_bulk]\n", tmp_path / "source")
    meshes = {run.record.role: run.content["settings"]["kpoints"] for run in plan.runs}
    assert set(meshes) == {"substrate", "substrate_bulk"}
    assert meshes["substrate_bulk"] == [5, 5, 5]
    assert meshes["substrate"][2] == 1
    none = plan_of(SLABS + "references: none\n", tmp_path / "source")
    assert {run.record.role for run in none.runs} == {"substrate"}


def test_a_convergence_study_is_read_by_its_own_command(
    qdip_json: Callable[..., tuple[int, dict[str, object]]], tmp_path: Path
) -> None:
    text = CRYSTALS.replace("[4.2, 4.3, 4.4]", "[4.3]") + "converge: {cutoff: [150, 200]}\n"
    done = written(text, tmp_path)
    assert [row.path for row in done.index.rows] == ["lattice4.3/bulk_cutoff_150", "lattice4.3/bulk_cutoff_200"]
    code, document = qdip_json("converge", tmp_path / "camp")
    assert code == 3
    assert document["vary"] == "cutoff"


def test_structure_files_and_their_labels(tmp_path: Path) -> None:
    from qdip_struct.base.files import shipped

    source = tmp_path / "source"
    source.mkdir()
    film = shipped("workflows", "interface_energy", "reference", "runs", "film", "structure.extxyz")
    shutil.copy(film, source / "a film.extxyz")
    text = "name: own\nbuild: {file: {file: 'a film.extxyz'}}\ninputs: {preset: quick}\n"
    done = written(text, tmp_path)
    assert [row.path for row in done.index.rows] == ["own/single"]
    made = open_run_folder(tmp_path / "camp" / "own" / "single")
    assert "region:S:1" in (made.path / "structure.extxyz").read_text()
    with pytest.raises(DataError, match=r"case own: cannot read .*none.extxyz"):
        plan_of(text.replace("a film", "none"), source)


ATTACHED = """\
name: on a slab
build:
  attach: {dot: PbS, shape: cube, diameter: 12, matrix: CsPbBr3, cells: "5,5,2"}
vary:
  top: [BX2, AX]
inputs: {preset: quick}
"""


def test_attached_dots_are_those_of_the_command(qdip: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """Role, report and atoms as ``qdip build attach`` writes them; shown first, then written."""
    import numpy as np

    from qdip_struct.builders.atoms.store import read_sidecar
    from qdip_struct.materials.structure_files import read_structure

    text = ATTACHED.replace("on a slab", "slab")
    source = tmp_path / "source"
    source.mkdir()
    (source / "campaign.yaml").write_text(text)
    code, out, _ = qdip("submit", source, "--dry-run")
    assert code == 0
    assert "BX2" in out and "AX" in out
    assert list(source.iterdir()) == [source / "campaign.yaml"]
    done = written(text, tmp_path)
    assert [row.path for row in done.index.rows] == ["BX2/attached", "AX/attached"]
    words = [
        "--dot",
        "PbS",
        "--shape",
        "cube",
        "--diameter",
        "12",
        "--matrix",
        "CsPbBr3",
        "--cells",
        "5,5,2",
        "--top",
        "AX",
    ]
    assert qdip("build", "attach", *words, "-o", tmp_path / "alone.extxyz")[0] == 0
    alone, sidecar = read_structure(tmp_path / "alone.extxyz"), read_sidecar(tmp_path / "alone.extxyz")[1]
    made = open_run_folder(tmp_path / "camp" / "AX" / "attached")
    assert made.role == sidecar["role"] == "embedded"
    atoms = read_structure(made.path / "structure.extxyz")
    assert np.array_equal(atoms.positions, alone.positions)
    assert list(atoms.arrays["region"]) == list(alone.arrays["region"])
    assert made.content["parameters"]["build"]["attach"]["top"] == "AX"
    assert made.content["structure"]["gap_angstrom"] == sidecar["gap_angstrom"]


def test_a_slab_from_a_file_lies_beside_the_campaign(tmp_path: Path) -> None:

    from qdip_struct.builders.atoms.store import write_structure
    from qdip_struct.builders.dot.attach import surface_slab
    from qdip_struct.materials.structure_files import crystal_named

    source = tmp_path / "source"
    source.mkdir()
    slab = surface_slab(crystal_named("CsPbBr3"), cells=(5, 5, 2))
    write_structure(source / "own.extxyz", slab, provenance={}, report={})
    text = ATTACHED.replace("on a slab", "slab").replace('matrix: CsPbBr3, cells: "5,5,2"', "slab: own.extxyz")
    run = plan_of(text.replace("vary:\n  top: [BX2, AX]\n", ""), source).own[0]
    assert str(run.content["parameters"]["build"]["attach"]["slab"]) == "own.extxyz"
    with pytest.raises(UsageError, match=r"case slab: give the slab by --matrix or by --slab"):
        plan_of(text.replace("slab: own.extxyz", "twist: 0").replace("vary:\n  top: [BX2, AX]\n", ""), source)


def test_layers_cannot_be_held_where_nothing_moves(tmp_path: Path) -> None:
    asked = "preset: quick, fixed-layers: 1"
    with pytest.raises(UsageError, match="--fixed-layers 1 holds atoms while others move"):
        plan_of(SLABS.replace("preset: quick", asked), tmp_path / "source")
    text = SLABS.replace("preset: quick", f"{asked}, task: geo_opt, roles: {{substrate_bulk: {{fixed-layers: 0}}}}")
    run = next(run for run in plan_of(text, tmp_path / "source").runs if run.record.role == "substrate")
    assert "&FIXED_ATOMS" in run.input_text
