"""Two settings tables compared, and what differs said in words."""

import json
from collections.abc import Mapping
from typing import Any

from hdeocc.options import flat

SHOWN = 3


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """ "was begun with mask.lr 0.1 and not 0.2", the first few that differ; None where none do.

    Both are compared as JSON keeps them, by the paths of their values.
    """
    old, new = (dict(flat(json.loads(json.dumps(one)))) for one in (before, now))
    named = {key for key in {**new, **old} if old.get(key) != new.get(key)}
    # An option says by itself that the settings, which hold its value too, are others.
    named -= {key.replace("options.", "settings.", 1) for key in named if "options." in key}
    if not named:
        return None
    shown = [f"{key} {_said(old.get(key))} and not {_said(new.get(key))}" for key in sorted(named)]
    more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
    return f"was begun with {', '.join(shown[:SHOWN])}{more}"


def _said(value: Any) -> str:
    if isinstance(value, list):
        value = " ".join(map(str, value)) or None
    return "nothing" if value is None else str(value)[:40]
