"""What hostile clients cost: each attack against a fresh process, and what a second client feels meanwhile."""
