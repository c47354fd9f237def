"""Named prompts with variables: what a template file is, where it lies, the values that it takes, and its rendering.

Knows nothing of models or of clinical data; reads other tools' templates in `collection`.
"""

from gemx.templates.sandbox import render, variables
from gemx.templates.schema import HEADER, INPUT, Template, Variable
from gemx.templates.shelf import Named, load_file, load_shipped
from gemx.templates.values import bind

__all__ = [
    "HEADER",
    "INPUT",
    "Named",
    "Template",
    "Variable",
    "bind",
    "load_file",
    "load_shipped",
    "render",
    "variables",
]
