"""Why a picture was accepted or rejected, kept beside a run's results: words, shares, and small pictures."""
