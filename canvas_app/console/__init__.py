"""The operator's console: a door of its own, with pages for people who have signed in."""
