"""Bad input at every door: a few hundred in each test run, and tens of thousands with ``make input``."""
