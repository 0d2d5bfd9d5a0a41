"""Floor 2: how two lattices fit. Misfit, coincidence cells, screens over composition; plain numbers in and out."""
