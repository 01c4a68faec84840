"""The command: see the package's own words."""

import argparse
import json
import sys
from pathlib import Path

from manual.defaults import defaults
from manual.reading import ManualError, chapters
from manual.schema import schema
from manual.table import with_table

CHART = Path(__file__).parents[2] / "chart"


def made(chart: Path) -> dict[Path, str]:
    """Return what each of the three files must say. Raises ManualError."""
    values = (chart / "values.yaml").read_text("utf-8")
    book = chapters(values)
    readme = chart / "README.md"
    return {
        chart / "values.schema.json": json.dumps(schema(book), indent=1, ensure_ascii=False) + "\n",
        chart / "defaults.yaml": defaults(values),
        readme: with_table(readme.read_text("utf-8"), book),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m manual")
    parser.add_argument("--check", action="store_true", help="say what differs, write nothing")
    check = parser.parse_args().check
    try:
        files = made(CHART)
    except ManualError as error:
        print(error, file=sys.stderr)
        return 1
    differing = [path for path, text in files.items() if _now(path) != text]
    for path in differing:
        name = path.relative_to(CHART.parent)
        if check:
            print(f"{name} is not what chart/values.yaml makes of it: run `make manual`")
        else:
            path.write_text(files[path], "utf-8")
            print(f"{name}: written")
    return 1 if check and differing else 0


def _now(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
