"""What is wrong with a set, and which of its images are there twice."""
