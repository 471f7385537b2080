"""Spiking heads, one mm library per file; the registry imports a file when its library is in use."""
