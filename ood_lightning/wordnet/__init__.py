"""WordNet as a graph and as its database files."""
