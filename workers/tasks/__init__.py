"""Celery's tasks: a few lines each around what the rooms do."""
