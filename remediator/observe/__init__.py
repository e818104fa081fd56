"""What the daemon shows of itself: logs, metrics (all declared in `metrics`), traces."""
