"""How an answer is shown: text for a terminal, JSON for other tools, files for the frames."""
