"""Groups, who belongs to them, and what changed of both since when."""
