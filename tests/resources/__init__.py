"""Runbooks and policies as custom resources: on the real API server, by the real daemon."""
