"""How long a test waits for what has to come: for the thing itself, however slow the machine is."""

from __future__ import annotations

HANG_SECONDS = 1500.0
"""What has not come by then hangs. Below pytest's own limit for a test, so that the message says what was awaited."""
