"""Local models: a catalog, what is installed and whether it is whole, and how it comes here. Never calls a model."""
