"""Networks of others, rebuilt so that their published weights load by name and shape."""
