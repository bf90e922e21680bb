"""``python -m examples.flask_app``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from aiguard.errors import ConfigurationError
from examples.flask_app.accounts import passwords
from examples.flask_app.app import create_app
from examples.flask_app.serve import serve
from examples.local_model import local_model_server


def main() -> None:
    """Serve the desk. An unset environment becomes development here, because a person starts this by hand."""
    parser = argparse.ArgumentParser(description="A support desk whose assistant is guarded by aiguard.")
    parser.add_argument("--port", type=int, default=5000, help="0 picks a free one (default: 5000)")
    options = parser.parse_args()
    os.environ.setdefault("AIGUARD_ENVIRONMENT", "development")
    os.environ.setdefault("AIGUARD_POLICY", str(Path(__file__).with_name("aiguard.toml")))
    generated = "EXAMPLE_AGENT_PASSWORD" not in os.environ

    def ready(address: str) -> None:
        if generated:
            print("sign in as " + " or ".join(f"{name} / {word}" for name, word in passwords().items()))
        print(f"support desk on {address}", flush=True)

    try:
        with local_model_server():
            serve(create_app, options.port, ready=ready)
    except ConfigurationError as problem:
        raise SystemExit(f"the desk cannot start: {problem}") from None
    except OSError as problem:
        raise SystemExit(
            f"cannot listen on port {options.port}: {problem.strerror}; choose another with --port"
        ) from None


if __name__ == "__main__":
    main()
