"""What runs beside the candidate: small, and believed by nobody."""
