"""dispatch: a distributed task queue for fleets of AI agents, on Celery, Valkey and PostgreSQL."""
