"""Growing a corpus: pictures that its words describe badly, words that a model proposes, a person's choice."""
