"""The steps of a job as Celery tasks: thin shells over the modules that do the work."""
