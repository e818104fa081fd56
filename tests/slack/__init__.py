"""A loopback Slack, and the tests of what remediator says to it and hears from it."""
