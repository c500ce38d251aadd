"""The demo: a plate and a dialogue that are made on the spot, and what lipcore makes of them."""
