"""Act, step, record: compiled environments and Gymnasium vector environments leave the same batch."""
