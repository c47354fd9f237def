"""gemx: clinical automations, prompts and flows on Gemini or local GGUF models, checked by code and audited."""

import os

# A plugin of Pydantic's that happens to be installed would see what is read of patients; looking for one takes time.
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "1"

__version__ = "0.1.0"
