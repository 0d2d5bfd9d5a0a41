"""CP2K inputs: reading and writing decks, the decisions behind them, the checks before they run."""
