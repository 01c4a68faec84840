"""The templates of what people read, one a form, and how a size is written in them."""

import functools
from typing import TYPE_CHECKING

from registry_gc.layout import shown

if TYPE_CHECKING:
    import jinja2


def template(name: str) -> "jinja2.Template":
    """Return a template of the package's folder `templates`."""
    return _environment().get_template(name)


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2  # here: who answers in JSON, and the sidecar, do without it

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("registry_gc"),
        autoescape=jinja2.select_autoescape(["html", "html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(size=size, shown=shown)
    return environment


def size(count: int) -> str:
    """Return bytes in the largest unit that leaves at least one: `512 B`, `1.5 MiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
