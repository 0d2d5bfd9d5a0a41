"""What the source never does: shells from strings, unpickling, unsafe YAML, evaluation of text, paths that lead out."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import qdip_struct
from qdip_struct.base.errors import QdipError
from qdip_struct.campaign.engines.jobscript import run_list
from qdip_struct.campaign.spec import load_spec

PACKAGE = Path(qdip_struct.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def calls(module: Path) -> Iterator[tuple[ast.Call, str]]:
    """Each call of a module with its dotted name."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def given(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(word.value) for word in call.keywords if word.arg == name), None)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_runs_what_a_text_says(module: Path) -> None:
    for call, name in calls(module):
        where = f"{module.name}:{call.lineno} {name}"
        assert name not in ("eval", "exec", "compile", "os.system", "os.popen", "__import__"), where
        assert not name.startswith(("pickle.", "marshal.", "shelve.", "dill.")), where
        if name == "yaml.load":
            assert "Safe" in (given(call, "Loader") or "") or given(call, "Loader") == "loader", where
        assert name not in ("yaml.unsafe_load", "yaml.full_load", "yaml.load_all"), where
        if name in ("np.load", "numpy.load"):
            assert given(call, "allow_pickle") == "False", where
        if name == "torch.load":
            assert given(call, "weights_only") == "True", where
        if name.startswith("subprocess.") and name.split(".")[1] in ("run", "Popen", "call", "check_output"):
            assert given(call, "shell") in (None, "False"), where
            assert call.args and not isinstance(call.args[0], (ast.Constant, ast.JoinedStr)), where
        assert name not in ("tarfile.open", "zipfile.ZipFile") or "extractall" not in module.read_text(), where


@pytest.mark.parametrize("name", ["../up", "/etc", "a/b", "-rf", ".", "..", "a\\x00b", "a\\nb", " ", "~root"])
def test_a_campaign_is_not_named_like_a_way_out(name: str, tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(f'name: "{name}"\nbuild:\n  bulk: {{material: PbS}}\n')
    with pytest.raises(QdipError):
        load_spec(path)


@pytest.mark.parametrize("name", ["a\nb", "a\rb"])
def test_a_folder_name_cannot_add_a_line_to_a_job_list(name: str) -> None:
    with pytest.raises(QdipError, match="line break"):
        run_list([name])
