"""The package's face."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

import aiguard


def test_public_names_are_sorted_unique_and_there() -> None:
    assert aiguard.__all__ == sorted(set(aiguard.__all__))
    for name in aiguard.__all__:
        assert getattr(aiguard, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = aiguard.nonsense


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    ).stdout


WITHOUT = """
    import sys
    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in {"flask", "werkzeug", "flask_login", "starlette", "rq", "redis", "openai", "anthropic",
                                      "httpx", "httpx2", "psycopg", "spacy"}:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    sys.meta_path.insert(0, Absent())
"""


def test_the_package_imports_and_works_without_any_extra() -> None:
    code = (
        WITHOUT
        + """
    import aiguard
    for name in aiguard.__all__:
        getattr(aiguard, name)
    print(aiguard.scrub("I am jane.doe@example.org"))
    """
    )
    assert run(code) == "I am [REDACTED_EMAIL]\n"


def test_a_missing_extra_says_what_to_install() -> None:
    code = (
        WITHOUT
        + """
    import aiguard
    try:
        import aiguard.flask
    except aiguard.ConfigurationError as error:
        print(error)
    """
    )
    assert "pip install '.[flask]' in your clone of aiguard" in run(code)


def test_importing_the_package_is_cheap() -> None:
    loaded = run(
        "import sys, aiguard; print(*(m for m in ('sqlalchemy', 'pydantic', 'phonenumbers', 're2') if m in sys.modules))"
    )
    assert loaded.strip() == ""
