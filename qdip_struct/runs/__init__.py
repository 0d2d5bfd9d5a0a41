"""Floor 5: one run: its folder, how it is drafted, what came of it, how it goes on."""
