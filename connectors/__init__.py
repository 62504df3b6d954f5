"""Room connectors."""
