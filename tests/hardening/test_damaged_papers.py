"""``qdip papers`` goes on from a folder of damaged files: what was damaged is made anew, to the same bytes.

Run folders are the user's to edit. The damage is seeded (:mod:`damage`); a failure names the seed and the file.
"""

import zlib
from pathlib import Path

import pytest
from damage import damaged, damaged_json

from qdip_struct.cli.main import main

PAPER = "garcia_de_arquer2017"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("papers") / "papers"
    assert main(["papers", "--only", PAPER, "-o", str(folder), "--json"]) == 0
    return folder


@pytest.mark.parametrize("first", range(1, 16, 5))
def test_damaged_results_are_made_anew(whole: Path, first: int, capsys: pytest.CaptureFixture[str]) -> None:
    true = contents(whole)
    names = [name for name in true if "/" in name]
    for seed in range(first, first + 5):
        name = names[zlib.crc32(str(seed).encode()) % len(names)]
        content = true[name]
        changed = (
            damaged_json(content, seed=seed) if name.endswith(".json") and seed % 4 else damaged(content, seed=seed)
        )
        (whole / name).write_bytes(changed)
        told = f"seed {seed}, {name}"
        assert main(["papers", "--only", PAPER, "-o", str(whole), "--json"]) == 0, told
        err = capsys.readouterr().err
        assert "Traceback" not in err, told
        if "/runs/" not in name:
            assert contents(whole) == true, told
        (whole / name).write_bytes(content)


def test_an_edited_input_stays_and_a_torn_record_does_not(whole: Path) -> None:
    place = next(path for path in sorted(whole.rglob("run.inp")))
    text, record = place.read_bytes(), place.with_name("run.json").read_bytes()
    place.write_bytes(text + b"# my own line\n")
    assert main(["papers", "--only", PAPER, "-o", str(whole), "--json"]) == 0
    assert place.read_bytes() == text + b"# my own line\n"
    place.write_bytes(text)
    place.with_name("run.json").write_bytes(record[:100])
    assert main(["papers", "--only", PAPER, "-o", str(whole), "--json"]) == 0
    assert place.with_name("run.json").read_bytes() == record
