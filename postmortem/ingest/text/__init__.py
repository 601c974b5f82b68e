"""Text logs that nobody described: lines to measurements, places, settings and events."""
