"""From images and words to label sets."""
