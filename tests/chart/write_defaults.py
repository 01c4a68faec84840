"""What `PYTHONPATH=ci python -m manual` does, by its name of before."""

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "ci"))
    runpy.run_module("manual", run_name="__main__")
