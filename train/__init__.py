"""Recipes from raw footage to weights."""
