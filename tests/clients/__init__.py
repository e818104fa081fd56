"""Clients, against the real servers where they can be had."""
