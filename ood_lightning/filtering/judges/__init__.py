"""Who says whether a word is a proper noun, and whether it is a subcategory of an ID name: one file per judge."""
