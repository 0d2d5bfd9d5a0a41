"""Time of a page of 8, 80 and 400 run folders, the first time and again from memory. No peer makes such a page."""

import json
import math
import shutil
import tempfile
import time
from pathlib import Path

from qdip_struct.base.files import shipped
from qdip_struct.report.memory import FOLDER, Memory
from qdip_struct.report.page import study_page
from qdip_struct.report.study import read_study

SIZES = (1, 10, 50)


def copies(place: Path, *, groups: int) -> None:
    """The shipped group of eight runs again and again, each copy a group and structures of its own."""
    source = shipped("workflows", "interface_energy", "reference", "runs")
    for number in range(groups):
        target = place / f"g{number:03d}"
        shutil.copytree(source, target)
        for record in target.glob("*/run.json"):
            content = json.loads(record.read_text())
            content["group"] = f"group {number:03d}"
            content["structure_sha256"] = f"{number:03d}{content['structure_sha256'][3:]}"
            record.write_text(json.dumps(content))


def page_seconds(place: Path) -> tuple[float, int]:
    """CPU seconds and bytes of one page."""
    start = time.process_time()
    memory = Memory(place / FOLDER)
    text = study_page(read_study(place, memory=memory), memory=memory)
    return time.process_time() - start, len(text)


def main() -> None:
    """Print CPU seconds, bytes and the growth exponent between the sizes."""
    page_seconds_of: list[tuple[int, float]] = []
    print(f"{'folders':>8} {'first s':>9} {'again s':>9} {'MB':>6}")
    for groups in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            copies(Path(folder), groups=groups)
            first, _ = page_seconds(Path(folder))
            again, size = page_seconds(Path(folder))
        print(f"{8 * groups:8d} {first:9.2f} {again:9.2f} {size / 1e6:6.2f}")
        page_seconds_of.append((8 * groups, again))
    (n1, t1), (n2, t2) = page_seconds_of[0], page_seconds_of[-1]
    print(f"growth of a page from memory: folders^{math.log(t2 / t1) / math.log(n2 / n1):.2f}")


if __name__ == "__main__":
    main()
