"""People judge renders: a study in a browser, its answers, and what they come to."""
