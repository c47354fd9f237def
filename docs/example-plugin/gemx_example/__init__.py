"""An example of a gemx plugin."""
