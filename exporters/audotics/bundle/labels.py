"""`labels.json`: names that operators give to versions, `{"stable": 3, "canary": 4}`, in a model's folder.

Text goes in, checked labels come out, and back. Who writes holds the lock of the model's folder (`BundleStore`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from audotics.bundle.errors import BundleCorruptError

LABELS_FILE: Final = "labels.json"
STABLE: Final = "stable"
"""The label of the version that serves where a request asks for none."""

_LABEL: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_ABOVE_VERSIONS: Final = 10**18
"""The names of versions have up to 18 digits."""

_LIMIT: Final = 64
"""Labels of one model; far more than anybody tells apart."""


def is_label(name: str) -> bool:
    """Whether `name` may be a label: lower-case letters, digits, '-' and '_', a letter first, up to 32."""
    return _LABEL.fullmatch(name) is not None


def parse_labels(text: str, *, where: str) -> dict[str, int]:
    """Read the text of `labels.json`; `where` names the model in errors. Raises BundleCorruptError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _corrupt(where, f"is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise _corrupt(where, "is not an object of labels and versions")
    if len(value) > _LIMIT:
        raise _corrupt(where, f"has {len(value)} labels, and {_LIMIT} are allowed")
    for label, version in value.items():
        if not is_label(label):
            raise _corrupt(where, f"has {label!r}, which is no label: lower-case letters, digits, '-' and '_'")
        if type(version) is not int or not 1 <= version < _ABOVE_VERSIONS:
            raise _corrupt(where, f"gives {label!r} to {version!r}, which is no version")
    return value


def format_labels(labels: Mapping[str, int]) -> str:
    return json.dumps(dict(labels), indent=2, sort_keys=True) + "\n"


def _corrupt(where: str, problem: str) -> BundleCorruptError:
    return BundleCorruptError(f"{where}: {LABELS_FILE} {problem}; mend the file or remove it")
