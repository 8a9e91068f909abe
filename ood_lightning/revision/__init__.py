"""What changes of a finished run where words, or pictures, are taken out."""
