"""``aiguard demo``: run the main job end to end and prove that nothing leaked.

The examples are not part of the installed package, so this looks for them: in the current folder, then in the source tree
that this package was installed from with ``pip install -e``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import click

from aiguard.cli.output import fail

NEEDED = {"flask": "Flask", "flask_login": "Flask-Login", "openai": "openai"}
"""What the example application imports, beside aiguard itself: module to distribution."""


def find_examples(*starts: Path) -> Path | None:
    """The folder that holds ``examples/demo.py``: the first of ``starts`` or of their parents that has it."""
    for start in starts:
        for folder in (start, *start.parents):
            if (folder / "examples" / "demo.py").is_file() and (
                folder / "examples" / "flask_app" / "aiguard.toml"
            ).is_file():
                return folder
    return None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the report.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Leave database, logs and the model server's record in this folder.",
)
def demo(*, as_json: bool, keep: Path | None) -> None:
    """Send sample messages through a guarded application and prove that nothing protected got out.

    Exits with 0 when nothing escaped and everything that had to be stopped was, else with 1.
    """
    root = find_examples(Path.cwd(), Path(__file__).resolve().parent)
    if root is None:
        fail(
            "the demo lives in the project's source tree, which is not here.\n"
            "Clone the repository and run `make demo` in it, or run `aiguard demo` from a folder of that clone."
        )
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        fail(
            f"the example application needs {', '.join(missing)}.\n"
            f"Run `make demo` in {root}, which installs what it needs."
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    raise SystemExit(
        importlib.import_module("examples.demo").main(as_json=as_json, keep=keep.resolve() if keep else None)
    )
