"""The door for other programs: a Series, a data connector, Zapier, Make, or code of one's own."""
