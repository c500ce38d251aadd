"""Running trained networks: one interface, several backends."""
