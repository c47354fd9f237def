"""Flows: steps that depend on each other, run once or over many items. Calls models by the door alone."""
