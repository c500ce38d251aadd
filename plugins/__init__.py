"""What runs inside other programs: the standard library and the host's own API, nothing else."""
