"""How fast a recipe trains on this machine, where the time goes, and what to change first."""
