"""WordNet as a graph and as its database files.

Three things are read, each by one reader: `database_files` reads WordNet's own files (a system's, from which the frozen
copies are made, too), `frozen` the copies of release 3.0 that come with this package, and nltk (in `corpora.wordnet`)
its own corpus, which may lie there as a zip that the others cannot open. Nothing is read in a second way.
"""
