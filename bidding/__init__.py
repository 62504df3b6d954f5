"""Room bidding."""
