"""Words that an image might show, and the sentences they are put into before CLIP reads them."""
