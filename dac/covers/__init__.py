"""What a cover is: conditions, datasets, pictures."""
