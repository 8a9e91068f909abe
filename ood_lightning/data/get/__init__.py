"""Published sets from their addresses: fetched, verified, uncompressed and packed. Needs no torch."""
