"""Embedders that the settings can name: hashing in this process, an endpoint on the network, or one of the user's."""

from dispatch.embedders.choosing import make_embedder
from dispatch.embedders.openai import OpenAIEmbedder
from dispatch.embedders.patience import PatientEmbedder

__all__ = ["OpenAIEmbedder", "PatientEmbedder", "make_embedder"]
