"""The REST resources; one module makes the router of one resource."""
