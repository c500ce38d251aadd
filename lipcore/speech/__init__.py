"""Speech made here: espeak-ng with the time of every phoneme."""
