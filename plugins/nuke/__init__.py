"""The lip-sync node of Nuke: a Group that any Nuke can open, driven from here."""
