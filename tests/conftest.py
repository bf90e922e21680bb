"""How property tests run: exploring on a developer's machine, the same examples every time in CI."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A busy machine makes generation slow; that says nothing about the property.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("explore"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "explore")
