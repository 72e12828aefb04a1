"""One image in one network: recorded once, pulled back as often as one likes. Only torch."""
