from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.providers.provider_doubles import ModelServer


@pytest.fixture
def server() -> Iterator[ModelServer]:
    made = ModelServer()
    yield made
    made.close()
