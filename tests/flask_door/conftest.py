from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.flask_door.door_support import Desk, ModelServer

from aiguard.db.engine import make_engine
from aiguard.db.schema import upgrade
from aiguard.db.wal import checkpoint

NewDesk = Callable[..., Desk]


@pytest.fixture(scope="session")
def _model_server() -> Iterator[ModelServer]:
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture
def server(_model_server: ModelServer) -> ModelServer:
    _model_server.reset()
    return _model_server


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database at the current revision, to copy: migrating one for every test would take most of the time."""
    path = tmp_path_factory.mktemp("template") / "aiguard.db"
    engine = make_engine(f"sqlite:///{path}")
    upgrade(engine)
    assert checkpoint(engine)
    engine.dispose()
    return path


@pytest.fixture
def new_desk(tmp_path: Path, server: ModelServer, template: Path) -> Iterator[NewDesk]:
    """Makes applications that are not guarded yet; ``config`` goes into ``app.config``."""
    made: list[Desk] = []

    def make(**config: Any) -> Desk:
        folder = tmp_path / f"desk{len(made)}"
        folder.mkdir()
        made.append(Desk(folder, server, template, config))
        return made[-1]

    yield make
    for desk in made:
        desk.close()


@pytest.fixture
def desk(new_desk: NewDesk) -> Desk:
    """A guarded application without routes."""
    return new_desk().protect()
