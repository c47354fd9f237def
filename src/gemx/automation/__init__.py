"""Clinical automations: the YAML, the facts that code computes, the draft and prompt made of them, and the result."""
