"""From mouth shapes to pictures: the renderers behind one interface."""
