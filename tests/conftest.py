"""For the whole suite: the order of the tests, the installed CP2K, a way to call the command line."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from qdip_struct.base.errors import DataError
from qdip_struct.cli.main import main
from qdip_struct.cp2k.program import HOW_TO_GET_CP2K, Program, find_program


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the tests that mostly wait for Slurm: one process waits while the others work through the rest."""
    items.sort(key=lambda item: item.get_closest_marker("slurm") is None)


@pytest.fixture(scope="session")
def cp2k() -> Program:
    """The CP2K of this machine; a test that needs it is skipped, with the reason, where there is none."""
    program = find_program()
    if program is None:
        pytest.skip(f"no CP2K: {HOW_TO_GET_CP2K}")
    return program


@pytest.fixture
def refused() -> Callable[..., None]:
    """A reader refuses every one of these contents of a file, and no file, in one line that names it."""

    def check(read: Callable[[Path], object], path: Path, contents: Iterable[str]) -> None:
        for content in (*contents, None):
            if content is None:
                path.unlink()
            else:
                path.write_text(content)
            with pytest.raises(DataError) as caught:
                read(path)
            assert str(path) in str(caught.value) and "\n" not in str(caught.value)

    return check


@pytest.fixture
def qdip(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Call ``qdip`` in this process: exit code, stdout, stderr."""

    def call(*words: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        caught = capsys.readouterr()
        return code, caught.out, caught.err

    return call


@pytest.fixture
def qdip_json(qdip: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, Any]]:
    """Call ``qdip ... --json``: exit code and the one document on stdout."""

    def call(*words: str | Path) -> tuple[int, Any]:
        code, out, _ = qdip(*words, "--json")
        return code, json.loads(out)

    return call
