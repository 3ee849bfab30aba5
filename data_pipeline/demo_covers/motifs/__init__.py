"""Motifs to put on covers, each drawn on a stamp: about 1 from its centre to its edges.

Every motif varies a little with the random generator.
"""
