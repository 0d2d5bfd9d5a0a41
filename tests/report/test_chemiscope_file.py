"""A chemiscope file of a study: what it holds, its bytes, and what is said without the library."""

import builtins
import gzip
import json
import shutil
from pathlib import Path

import pytest

from qdip_struct.base.errors import ToolError, UsageError
from qdip_struct.report.chemiscope_file import write_chemiscope
from qdip_struct.report.study import read_study

TRIO = Path(__file__).parents[1] / "data" / "cp2k_runs" / "trio"


@pytest.fixture
def study(tmp_path):
    shutil.copytree(TRIO, tmp_path / "trio")
    return read_study(tmp_path)


def test_structures_energies_and_charges(study, tmp_path):
    pytest.importorskip("chemiscope", reason="no chemiscope: pip install 'qdip-struct[viewer]'")
    assert write_chemiscope(tmp_path / "c.json.gz", study, title="trio") == 3
    content = json.loads(gzip.decompress((tmp_path / "c.json.gz").read_bytes()))
    assert [structure["size"] for structure in content["structures"]] == [8, 11, 3]
    energies = content["properties"]["energy per atom"]
    assert energies["units"] == "eV"
    assert energies["values"][1] == pytest.approx(-86.242398739817091 * 27.211386 / 11, rel=1e-6)
    assert content["properties"]["formal charge"]["target"] == "atom"
    assert sum(content["properties"]["formal charge"]["values"]) == 0
    write_chemiscope(tmp_path / "d.json.gz", study, title="trio")
    assert (tmp_path / "d.json.gz").read_bytes() == (tmp_path / "c.json.gz").read_bytes()
    write_chemiscope(tmp_path / "c.json", study, title="trio")
    assert json.loads((tmp_path / "c.json").read_text()) == content


def test_refusals(study, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"\.json\.gz"):
        write_chemiscope(tmp_path / "c.html", study, title="trio")
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "chemiscope":
            raise ImportError
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ToolError, match="viewer"):
        write_chemiscope(tmp_path / "c.json", study, title="trio")
