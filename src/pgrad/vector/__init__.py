"""N Gymnasium or EnvPool environments stepped together: spaces, resetting, masks, workers."""

# auto: the first available of envpool, entry-point, sync. gymnasium: the same without EnvPool, so Gymnasium's own code.
VECTORIZATIONS = ("auto", "gymnasium", "envpool", "entry-point", "sync", "async")
