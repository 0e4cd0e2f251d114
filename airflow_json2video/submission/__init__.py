"""One paid POST: identity of the attempt, lookup, budget and submission."""
