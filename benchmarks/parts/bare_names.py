"""What the bare workers and the benchmark that drives them both name."""

from typing import Final

PREFIX: Final = "bare"
PUBLISH: Final = "bare.publish"
NOOP: Final = "bare.noop"
BODY: Final = "bare.body"
DONE: Final = "bare-done"
"""The list in Valkey that the bodies append to."""
