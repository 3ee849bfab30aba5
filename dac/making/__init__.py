"""Making covers that can be used: settings in, finished and typeset pictures out."""
