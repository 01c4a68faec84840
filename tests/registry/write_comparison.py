"""Write docs/comparison.md: what the registry's own collection and ours leave, measured now.

python tests/registry/write_comparison.py
"""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]  # as pytest has it

if __name__ == "__main__":
    from support.comparison import compare, page

    with tempfile.TemporaryDirectory() as folder:
        (ROOT / "docs/comparison.md").write_text(page(compare(Path(folder))), "utf-8")
