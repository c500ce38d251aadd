"""The networks: each readable in one file, none of them knows how it is trained."""
