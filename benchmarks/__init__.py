"""Measurements. ``make bench`` runs them; every figure in the documentation names the command that prints it."""
