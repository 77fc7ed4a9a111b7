"""Beads files in and out: pure reading and writing of `.beads/issues.jsonl`, no database."""

from dispatch.interop.edges import dependency_document
from dispatch.interop.entries import BeadEntry, Entry, MemoryEntry, Problem
from dispatch.interop.export import document_text, export_line
from dispatch.interop.graph import cycle_through, graph_problems
from dispatch.interop.intake import bead_from_document
from dispatch.interop.naming import common_prefix, new_bead_id
from dispatch.interop.newborn import new_document
from dispatch.interop.reading import read_entries
from dispatch.interop.replacing import write_file
from dispatch.interop.times import format_time, parse_time

__all__ = [
    "BeadEntry",
    "Entry",
    "MemoryEntry",
    "Problem",
    "bead_from_document",
    "common_prefix",
    "cycle_through",
    "dependency_document",
    "document_text",
    "export_line",
    "format_time",
    "graph_problems",
    "new_bead_id",
    "new_document",
    "parse_time",
    "read_entries",
    "write_file",
]
