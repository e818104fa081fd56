"""The JSON Schemas in a real editor's language server, and what `remediator new` writes."""
