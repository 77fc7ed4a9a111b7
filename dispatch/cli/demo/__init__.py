"""`dispatch demo`: shows dispatch at work, on a sample project or on one of your own."""

from dispatch.cli.demo.command import register

__all__ = ["register"]
