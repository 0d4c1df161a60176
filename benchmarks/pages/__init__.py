"""Tables and figures of the documentation, made from the results."""
