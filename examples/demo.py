from __future__ import annotations
import json
from pathlib import Path
from typing import Any
def load_messages() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(__file__).parent/"data"/"support_messages.jsonl").read_text(encoding="utf-8").splitlines()]
