"""The schema of alerts that ships with the docs is the one that the code writes."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from streamae.detection.alerts import Alert

SCHEMA = Path(__file__).parents[1] / "docs" / "alert.schema.json"


def test_the_published_schema_is_that_of_the_code() -> None:
    assert json.loads(SCHEMA.read_text()) == msgspec.json.schema(Alert)
