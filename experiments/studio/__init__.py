"""The page on which people make covers."""
