"""One at a time: generators parse Python source, which Python 3.11 cannot do in two threads at once (gh-106905)."""

from __future__ import annotations

import threading
from typing import Final

GENERATING: Final = threading.RLock()
"""Held by whoever draws from hypothesis or schemathesis beside the event loop."""
