"""What an evaluation is made of, without Lightning's modules."""
