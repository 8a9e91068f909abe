"""From folders, lists, archives and hub data sets to shards."""
