"""N Gymnasium or EnvPool environments stepped together: spaces, resetting, masks, workers."""
