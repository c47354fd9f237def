"""Local models: where they are installed and how they are found. Never calls a model."""
