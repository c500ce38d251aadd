"""From pictures to faces: detection, landmarks, tracks, and the canonical crop."""
