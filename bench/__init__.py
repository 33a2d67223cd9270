"""Measurements, each one command. Nothing here passes or fails."""
