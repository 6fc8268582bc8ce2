"""The composition root: from settings to running services, and nothing else."""
