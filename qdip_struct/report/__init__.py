"""Floor 9: what a person looks at. Figures (Axes in, Axes out) and one static HTML page."""
