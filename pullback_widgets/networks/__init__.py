"""Networks that come by name, and how their weights come."""
