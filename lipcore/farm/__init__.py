"""Many renders: files of jobs, a queue on one machine, bundles for farms."""
