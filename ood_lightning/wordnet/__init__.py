"""WordNet as a graph and as its database files.

Three things are read, each in one way: `database_files` reads WordNet's own files (a system's, from which the frozen
copies are made, too) and the copies of release 3.0 that come with this package; nltk (in `corpora.wordnet`) reads its
own corpus, which may lie there as a zip that the others cannot open.
"""
