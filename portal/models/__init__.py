"""Tables: columns, constraints, and queries named after what they answer."""
