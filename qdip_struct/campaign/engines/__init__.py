"""Where runs run: here, under Slurm or PBS, through AiiDA; one segment, one lock."""
