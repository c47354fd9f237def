"""gemx: clinical automations, prompts and flows on Gemini or local GGUF models, checked by code and audited."""

__version__ = "0.1.0"
