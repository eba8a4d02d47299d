"""Any Gymnasium environment, or EnvPool, stepped in vector form. Not imported before an environment needs it."""
