"""Datasets: small real sets that are prepared locally, event frames, and the transforms that load samples.

Nothing is imported here: event frames extend mmpretrain, and a detector needs none of it.
"""
