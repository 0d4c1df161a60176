"""Tables and figures of the pages, from the results."""
