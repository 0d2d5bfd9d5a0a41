"""Make ``cp2k_templates/schemas.json`` anew: the input languages of several CP2K releases.

Give the XML that ``cp2k --xml`` writes of every release that is to be known; each says itself which one it is of.

    python tests/revisions/make_schemas.py 2023.1/cp2k_input.xml 2025.1/cp2k_input.xml ...

2023.1, 2025.1, 2025.2 and 2026.2 are those of Debian's packages; 2024.1 is the one that cp2k-input-tools 0.9.3 carries.
"""

import re
import sys
from pathlib import Path

from qdip_struct.base.files import shipped
from qdip_struct.cp2k.inputs.schema import condensed, schemas_text

if __name__ == "__main__":
    texts = {}
    for name in sys.argv[1:]:
        text = Path(name).read_bytes()
        found = re.search(rb"<CP2K_VERSION>CP2K version (\S+)</CP2K_VERSION>", text)
        if found is None:
            sys.exit(f"{name} names no version of CP2K")
        texts[found.group(1).decode()] = text
    shipped("cp2k_templates", "schemas.json").write_text(schemas_text(condensed(texts)))
