"""Tests mirror the modules; `browser/` drives Chromium against a running app."""
