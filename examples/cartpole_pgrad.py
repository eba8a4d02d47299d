"""The training of cartpole_pytorch.py with pgrad, on thirty seeds: `python examples/cartpole_pgrad.py`."""

import pgrad

result = pgrad.train("CartPole-v1", algorithm="notebook", preset="none", seeds=30)
print(result.summary())
result.plot().savefig("cartpole.png")
