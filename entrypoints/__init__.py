"""Where processes start: settings, composition, and one package a process."""
