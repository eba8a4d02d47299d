"""N Gymnasium or EnvPool environments stepped together: spaces, resetting, masks, workers."""

# auto: the first of the others that there is. gymnasium: the same without EnvPool, so always the original.
VECTORIZATIONS = ("auto", "gymnasium", "envpool", "entry-point", "sync", "async")
