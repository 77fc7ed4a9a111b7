"""Does the work: the Celery application, its tasks, and the runners that start agents."""
