"""Tables and figures of the papers, each from one file: plan, run, compare with what was published."""
