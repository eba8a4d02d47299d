"""Finding settings: random search with successive halving, in a journal that an interrupted search goes on from."""
