"""YAML text to automations: reading, checking, compiling."""
