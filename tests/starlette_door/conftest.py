from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.starlette_door.starlette_support import Desk

from aiguard.db.engine import make_engine
from aiguard.db.schema import upgrade
from aiguard.db.wal import checkpoint

NewDesk = Callable[..., Desk]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database at the current revision, to copy."""
    path = tmp_path_factory.mktemp("template") / "aiguard.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    assert checkpoint(engine)
    engine.dispose()
    return path


@pytest.fixture
def new_desk(tmp_path: Path, migrated: Path) -> Iterator[NewDesk]:
    """Makes applications that are guarded: ``new_desk(app, **options)``."""
    made: list[Desk] = []

    def make(app: Any, **options: Any) -> Desk:
        folder = tmp_path / f"desk{len(made)}"
        folder.mkdir()
        made.append(Desk(folder, migrated, app, options))
        return made[-1]

    yield make
    for desk in made:
        desk.close()
