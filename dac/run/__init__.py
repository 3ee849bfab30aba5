"""What a run is: its networks, its schedule, its directory and its checkpoints.

Training and sampling share this; it imports neither.
"""
