"""The bench of sample identification: what it makes its queries of, and who answers them."""
