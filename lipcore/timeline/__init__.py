"""Timelines: what the viewer sees, frame by frame, and a timeline of re-spoken shots."""
