"""How good the covers of a run are."""
