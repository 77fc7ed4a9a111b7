"""Whether the last words of a program that went silent, or ended, ask somebody for something."""

import re

MAX_QUESTION = 2000
"""Characters of a question that is passed on to a human: its end."""
_ASKS = re.compile(
    r"\?[\s\"'`*_)\]:>]*(?:[\[(][^\])\n]{1,40}[\])])?[\s:>]*$"  # a question, perhaps with its choices behind it
    r"|[\[(]\s*(?:y(?:es)?\s*/\s*n(?:o)?|n(?:o)?\s*/\s*y(?:es)?)\b[^\])\n]{0,20}[\])]"
    r"|\b(?:permissions?|approval|authori[sz]ation)\b.{0,20}\b(?:needed|requested|required)\b"
    r"|\b(?:ask\w*|await\w*|need\w*|request\w*|requir\w*|wait\w*)\b.{0,20}\b(?:permissions?|approval|authori[sz]ation)\b"
    r"|\b(?:please|you must|you need to|have to)\b.{0,20}"
    r"\b(?:allow|approve|authori[sz]e|confirm|grant|log ?in|sign ?in)\b"
    r"|\bnot logged in\b|\brun /login\b"
    r"|\b(?:password|passphrase|passcode)\b[^.]{0,60}:\s*$"
    r"|\b(?:press|hit)\s+(?:enter|return|any key)\b|\bwaiting for (?:your|user)\b",
    re.IGNORECASE,
)


def asks(words: str) -> bool:
    """Tell whether the last line of what was said is a question, or asks for a permission."""
    return _ASKS.search(last_line(words)) is not None


def last_line(words: str) -> str:
    """Return the last line that says something; empty when none does."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def question_of(words: str) -> str:
    """Return what was said as a question for a human, without what does not fit."""
    return words.strip()[-MAX_QUESTION:]
