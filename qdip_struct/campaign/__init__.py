"""Floor 8: what to run and where. Campaigns, their folders, their engines."""
