# %% [markdown]
# # Policy gradients, from preferences to thirty trained policies
#
# Nine sections, about an hour. Every claim is computed in the cell below it, from problems so small that the truth is
# known, up to CartPole. Guess each answer before you run its cell.
#
# You need [pgrad](../README.md) and no GPU: in a clone, `pip install . jupyter`. In Colab, upload a wheel
# (`make wheel`) and `%pip install` it. All cells together take a minute or two, and the first training half a minute
# more, in which it compiles. Everything is seeded, so that you see what stands here. (On another processor a last digit
# may differ, and after some hundred steps another training comes of it. What is said of thirty should stay true.)
#
# Two letters: $\omega$ is a trajectory, which many books call $\tau$. Here $\tau$ is the temperature.

# %%
import dataclasses
import importlib.util

import gymnasium
import numpy as np

import pgrad
from pgrad import exact
from pgrad.estimators.spec import LEAVE_ONE_OUT, EstimatorSpec
from pgrad.exact.trajectories import count_trajectories
from pgrad.exercises import check
from pgrad.experiments.statistics import mean_interval
from pgrad.policies.softmax import score
from pgrad.reports import theory
from pgrad.reports.figures import BLUE, CARTPOLE_STATES, GREY, ORANGE, new_figure, running_mean
from pgrad.verify.as_estimator import as_function

SEEDS = 30  # trainings of each recipe: one alone shows luck

print(f"pgrad {pgrad.__version__}, {SEEDS} seeds")

# %% [markdown]
# ## 1. Why learn the policy itself?
#
# One could give every state and action a number, its worth, and then take the best. That is a table. A robot arm with
# seven joints, each told apart to one degree, has $360^7$ rows, and no best row can be looked up among actions that are
# angles themselves. A *policy* is a function with parameters $\theta$: state in, probabilities of actions out. This
# notebook moves $\theta$ uphill. It is how language models are tuned with human feedback, too.

# %%
rows = 360**7
arm = pgrad.MLPPolicy.initial("RobotArm-v0", hidden=64)
print(f"a table: {rows:.1e} rows, which take {rows / 1e6 / 3600 / 24 / 365:,.0f} years at a million a second")
print(f"a policy for an arm with seven joints: {arm.num_parameters:,} numbers")

# %% [markdown]
# ## 2. From preferences to probabilities
#
# A preference $h(a)$ is any number. The **softmax** makes probabilities of them:
#
# $$\pi(a) = \frac{e^{h(a)/\tau}}{\sum_k e^{h(k)/\tau}}$$
#
# Each is positive, and they add up to one. *Predict:* what happens if 1000 is added to all preferences?

# %%
preferences = np.array([2.0, 1.0, 0.5])
print(pgrad.softmax(preferences).round(2))
print(pgrad.softmax(preferences + 1000).round(2))

# %% [markdown]
# Nothing: only differences count. (A program that computes $e^{1002}$ overflows. So the largest preference is
# subtracted first, which changes nothing either.)

# %%
theory.preference_bars(preferences)

# %% [markdown]
# The temperature $\tau$ says how much differences matter. Cold, the best action takes all. Hot, all are alike.

# %%
for temperature in (0.1, 1.0, 10.0):
    print(f"τ = {temperature:4}", pgrad.softmax(preferences, temperature).round(4))
theory.temperature_curves(preferences)

# %% [markdown]
# ## 3. A network of preferences
#
# In CartPole the state is four numbers: where the cart is, how fast it moves, how far the pole tilts, how fast it
# turns. A network turns them into two preferences, for left and right. *Predict:* with 128 hidden units, how many
# parameters?

# %%
policy = pgrad.MLPPolicy.initial("CartPole-v1", hidden=128, activation="relu")
print(policy.num_parameters, "parameters:", 4 * 128 + 128, "into the hidden layer,", 128 * 2 + 2, "out of it")

# %% [markdown]
# It starts undecided, near one half everywhere, so that it tries both. A policy does not choose, it *draws*: the same
# state again and again gives each action as often as its probability says.

# %%
state, rng = [0.0, 0.0, 0.1, 0.5], np.random.default_rng(0)
draws = [policy.act(state, rng) for _ in range(1000)]
print("preferences        ", policy.logits(state).round(4))
print("probabilities      ", policy.probabilities(state).round(4))
print("1,000 draws        ", np.bincount(draws) / 1000)
print("log π(right)       ", policy.log_prob(state, 1).round(4))

# %% [markdown]
# The same network as a PyTorch module, to copy and change, is `pgrad.torch.PolicyNetwork`.

# %% [markdown]
# ## 4. $J$ is an average over luck
#
# What is a policy worth? One episode $\omega$ brings the return $G(\omega) = \sum_t \gamma^t r_t$. It depends on luck,
# of the policy's draws and of the world. The average does not:
#
# $$J(\theta) = \mathrm{E}[G(\omega)] = \sum_\omega p(\omega)\, G(\omega)$$
#
# Take a problem where this sum can be written out. Two steps to the right lead to the goal. Each step costs 1. One step
# in ten slips, and goes the other way. The episode ends at the goal or after three steps, and $\gamma = 0.9$. Its
# policy has two parameters: the preferences for `right` in state 0 and in state 1.


# %%
def chain(slip=0.1):
    """Return the problem, in which a step slips with this probability."""
    return dataclasses.replace(exact.chain(2, slip=slip, discount=0.9), time_limit=3)


features = np.zeros((3, 2, 2))  # of state and action
features[[0, 1], 1, [0, 1]] = 1.0
family, theta = exact.Linear(features), np.array([-0.5, 0.5])
mdp, walker = chain(), family(theta)
print(f"J(θ) = {exact.solve(mdp, walker).performance:.4f}, by linear algebra")

# %% [markdown]
# Without the model, one plays and averages. *Predict:* a hundred times as many episodes make the error how much
# smaller?

# %%
sample = exact.sample_trajectories(mdp, walker, 10_000, np.random.default_rng(0))
gains = np.array([pgrad.discounted_return(trajectory.rewards, 0.9) for trajectory in sample])
for n in (10, 100, 1000, 10_000):
    print(f"{n:6,} episodes: {gains[:n].mean():.4f} ± {gains[:n].std(ddof=1) / np.sqrt(n):.4f}")

# %% [markdown]
# Ten times smaller: the error falls as $1/\sqrt N$. Of CartPole nobody knows $J$, so that an interval goes with it.

# %%
print("the untrained policy:", pgrad.evaluate(policy, episodes=100, discount=0.99).mean)

# %% [markdown]
# ## 5. The log-derivative trick, and the theorem as a table
#
# To climb we need $\nabla J$. A step in $\theta$ changes probabilities, and $\nabla p$ is no probability: one cannot
# draw samples by it. The trick writes it as a probability times something:
#
# $$\nabla p = p\, \nabla \log p$$
#
# Here it is for $\pi(a_1)$ of the three preferences above: measured, by moving each preference a little, and by the
# formula. $\nabla \log \pi$ is called the **score**.

# %%
tiny = 1e-6
moved = [pgrad.softmax(preferences + step)[0] - pgrad.softmax(preferences - step)[0] for step in tiny * np.eye(3)]
print("∇π(a₁)              ", (np.array(moved) / (2 * tiny)).round(4))
print("π(a₁) · ∇ log π(a₁) ", (pgrad.softmax(preferences)[0] * score(preferences, 0)).round(4))

# %% [markdown]
# The score raises the action that was taken and lowers the others. The rarer the action, the harder the push.

# %%
theory.score_bars(preferences)

# %% [markdown]
# Now a whole trajectory. Its probability is a product, and the logarithm makes a sum of it:
#
# $$\log p(\omega) = \log p(s_0) + \sum_t \log \pi(a_t|s_t) + \sum_t \log p(s_{t+1}|s_t, a_t)$$
#
# Only the middle term holds $\theta$. So $\nabla \log p(\omega) = \sum_t \nabla \log \pi(a_t|s_t)$, and the world's
# dynamics are gone from it. Put together, that is the **policy gradient theorem**:
#
# $$\nabla J(\theta) = \sum_\omega p(\omega) \cdot G(\omega) \cdot \sum_t \nabla \log \pi(a_t|s_t)$$
#
# It is a table that one can add up. The chain has these rows:

# %%
trajectories, chance = exact.enumerate_trajectories(mdp, walker)
table = exact.theorem_table(mdp, walker)
product = (chance * table.discounted_return)[:, None] * table.score + 0.0  # no negative zeros
print("actions      p(ω)   G(ω)   Σ ∇ log π            product")
for k in np.argsort(-chance.round(12), kind="stable")[:5]:
    numbers = f"{chance[k]:.4f}  {table.discounted_return[k]:.2f}"
    print(f"{trajectories[k].actions!s:9}  {numbers}  {table.score[k].round(4)!s:19}  {product[k].round(4)}")
print(f"… the sum of all {len(chance)} rows: {product.sum(axis=0).round(4)}")

# %%
print("the table           ", product.sum(axis=0).round(4))
print("linear algebra      ", exact.solve(mdp, walker).gradient.round(4))
print("finite differences  ", exact.finite_difference_gradient(mdp, family, theta).round(4))

# %%
order = np.argsort(-chance, kind="stable")
figure, axes = new_figure(7.0, 3.2)
axes.plot(np.cumsum(product[order], axis=0), marker=".", label=["∂J/∂θ₁", "∂J/∂θ₂"])
axes.hlines(exact.solve(mdp, walker).gradient, 0, len(chance), color=GREY, linestyle="--", label="exact")
axes.set_xlabel("rows added, the likeliest first")
axes.set_title("The theorem is a sum of 52 rows", loc="left")
axes.legend(frameon=False)
figure

# %% [markdown]
# The sum ends at $\nabla J$, though single rows point anywhere. And the dynamics? Let three steps in ten slip.
# *Predict:* which columns change?

# %%
icy = exact.theorem_table(chain(slip=0.3), walker)
print("largest change of a score:", np.abs(icy.score - table.score).max())
print("largest change of p(ω):   ", np.abs(icy.policy * icy.dynamics - chance).max().round(4))
print("∇J:", product.sum(axis=0).round(4), "→", exact.solve(chain(slip=0.3), walker).gradient.round(4))

# %% [markdown]
# The scores stay. The world decides only how often each row is drawn. That is why one can learn without a model: play,
# and rows come as often as they should.

# %% [markdown]
# ## 6. The estimator
#
# Draw $N$ rows instead of adding up all of them:
#
# $$\hat g = \frac 1N \sum_{i=1}^N G(\omega_i) \sum_t \nabla \log \pi(a_t|s_t)$$
#
# An action cannot change rewards that were paid before it. Leave those out, and what multiplies step $t$ is
# $\gamma^t G_t$ with the **reward-to-go** $G_t = \sum_{k \ge t} \gamma^{k-t} r_k$. Most programs, and section 8, then
# drop the factor $\gamma^t$ as well. Often one formula is derived and another is programmed. Here are all three.


# %%
def total_return(batch):
    """Estimate by G(ω), as the theorem says."""
    return np.mean([pgrad.discounted_return(w.rewards, 0.9) * w.scores.sum(axis=0) for w in batch], axis=0)


def reward_to_go(batch):
    """Estimate by γ^t G_t."""
    return np.mean([0.9 ** np.arange(len(w)) * pgrad.rewards_to_go(w.rewards, 0.9) @ w.scores for w in batch], axis=0)


def dropped(batch):
    """Estimate by G_t, without γ^t."""
    return np.mean([pgrad.rewards_to_go(w.rewards, 0.9) @ w.scores for w in batch], axis=0)


print("∇J(θ) exactly            ", exact.solve(mdp, walker).gradient.round(4))
for estimator in (total_return, reward_to_go, dropped):
    moments = exact.moments(mdp, walker, estimator)  # over all batches that can happen
    print(f"{estimator.__name__:13} its mean   {moments.mean.round(4)}  variance {np.trace(moments.covariance):.2f}")

# %% [markdown]
# The first two have $\nabla J$ as their mean, and the second half the variance. The third leans: late steps count for
# more than $J$ says. It is used all the same, because with $\gamma^t$ a long episode's end would count for nothing.
#
# Right on average does not mean right. Each dot is an estimate from ten episodes:

# %%
theory.landscape(mdp, family, theta, total_return, num_iterations=0, num_trajectories=10)

# %% [markdown]
# ### The surrogate's value is no gradient
#
# Programs hand a library the **surrogate** $\frac1N \sum_i G(\omega_i) \sum_t \log \pi(a_t|s_t)$ and let it
# differentiate. Two episodes of two steps, the first with return 3, the second with −1:

# %%
log_probs, two_returns = [[-0.5, -1.2], [-0.3, -0.8]], [3.0, -1.0]
print("the surrogate's value:", round(pgrad.estimate_policy_gradient(log_probs, two_returns), 4))

# %% [markdown]
# It is tempting to call that number the estimated gradient. It is not: a gradient has an entry for each parameter. What
# matters is how much the value moves with each log-probability, since that is what multiplies its score. On the chain,
# subtract the same number $b$ from all returns: the value goes anywhere, and the gradient stays.

# %%
weights = [[episode_return / len(two_returns)] * 2 for episode_return in two_returns]
print("what multiplies each score:", weights)
for b in (0.0, -2.5, -5.0):
    share = chance * (table.discounted_return - b)
    value, slope = share @ np.log(table.policy), share @ table.score
    print(f"the chain, b = {b:4}: the value {value:6.3f}, the gradient {slope.round(4)}")

# %% [markdown]
# ### The sign of a return
#
# A good return pushes up the probability of what was done, a bad one pushes it down. The arrows are steps in the plane
# of two preferences, and the contours are $\pi(1)$.

# %%
theory.return_sign([0.5, -0.2], action=1, returns=(1.0, -1.0))

# %% [markdown]
# A plot of $G \cdot \log \pi$ against $G$ would tell the opposite, as $\log \pi$ is negative: the line falls. What
# rises with the return is the *effect of the step*.

# %%
arms, returns = np.array([0.5, -0.2]), np.linspace(-5, 5, 101)
after = [pgrad.softmax(arms + 0.2 * g * score(arms, 1))[1] for g in returns]
figure, axes = new_figure(7.0, 3.4)
axes.plot(returns, np.array(after) - pgrad.softmax(arms)[1], color=BLUE, label="change of π(a) by a step")
axes.plot(returns, 0.1 * returns * np.log(pgrad.softmax(arms)[1]), "--", color=ORANGE, label="G · log π(a) / 10")
axes.axhline(0, color=GREY, linewidth=0.8)
axes.axvline(0, color=GREY, linewidth=0.8)
axes.set_xlabel("return G")
axes.set_title("A good return makes the action more likely", loc="left")
axes.legend(frameon=False)
figure

# %% [markdown]
# ### Your turn: the estimator
#
# Put your code in the place of the `...` and run the cell. The checker calls your function on batches of its own, finds
# out what multiplies each log-probability, and says which mistake it is, if it is one.


# %%
def estimate_policy_gradient(log_probs, returns):
    """Return the average over episodes of the episode's return times the sum of its log-probabilities.

    log_probs[i][t] is log π(a_t | s_t) of episode i, returns[i] its return. Episodes may differ in length.
    """
    return ...


print(check("estimate_policy_gradient", estimate_policy_gradient, seed=0))


# %% cellView="form" jupyter={"source_hidden": true} tags=["hide-input"]
# @title A worked solution
def worked_estimate(log_probs, returns):
    """Return the surrogate, episode after episode."""
    total = 0.0
    for episode, episode_return in zip(log_probs, returns, strict=True):
        total += episode_return * sum(episode)
    return total / len(returns)


print(check("estimate_policy_gradient", worked_estimate, seed=0))

# %% [markdown]
# ### Your turn: the softmax with a temperature
#
# It must also take `[1000.0, 1001.0]`. Nine more exercises are in [docs/exercises.md](../docs/exercises.md).


# %%
def temperature_softmax(preferences, temperature=1.0):
    """Return π(a) = exp(h_a / τ) / Σ_k exp(h_k / τ) of an array of preferences, however large they are."""
    return ...


print(check("temperature_softmax", temperature_softmax, seed=0))


# %% cellView="form" jupyter={"source_hidden": true} tags=["hide-input"]
# @title A worked solution
def worked_softmax(preferences, temperature=1.0):
    """Return the probabilities; subtract the largest after dividing, so that no exponential overflows."""
    scaled = np.asarray(preferences) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


print(check("temperature_softmax", worked_softmax, seed=0))

# %% [markdown]
# ## 7. One episode of CartPole
#
# The untrained policy plays, in Gymnasium's own environment. The seed fixes the start and every draw: run it again, and
# the same episode comes.

# %%
episode = pgrad.collect_episode(policy, seed=0, discount=0.99)
print(episode)
print("first five returns:", episode.returns[:5].round(2))
print("last five returns: ", episode.returns[-5:].round(2))

# %% [markdown]
# The returns $G_t$ are computed from the end: $G_t = r_t + \gamma G_{t+1}$. Each reward is 1, so the last one is 1.

# %%
to_go, backwards = 0.0, []
for reward in episode.reward[::-1]:
    to_go = reward + 0.99 * to_go
    backwards.append(to_go)
print("the same by hand:", np.allclose(backwards[::-1], episode.returns))

# %%
figure, axes = new_figure(7.0, 3.0)
axes.bar(np.arange(len(episode)), episode.returns, color=[BLUE if a == 0 else ORANGE for a in episode.action])
axes.xaxis.get_major_locator().set_params(integer=True)
axes.set(xlabel="step t (blue: left, orange: right)", ylabel="Gₜ")
axes.set_title("What multiplies the score of each action", loc="left")
figure

# %% [markdown]
# All bars are positive. Every action of this episode is pushed up, the good and the bad, early ones most.
# Only in the average over many episodes does the better action win. Remember that for the next section.

# %% [markdown]
# ## 8. Thirty trainings
#
# ### Collapse
#
# The recipe: play one episode, take one step of Adam with learning rate 0.01 along
# $\sum_t G_t \nabla \log \pi(a_t|s_t)$, and so on for 300 episodes. One run of it may look fine, and another terrible.
# Here are thirty. *Predict:* how many of them average 475 of 500 steps in the end?


# %%
def train(**changes):
    """Train the recipe, with some changes, on all seeds."""
    settings = {"algorithm": "notebook", "seeds": SEEDS, **changes}
    return pgrad.train("CartPole-v1", preset="none", evaluation_episodes=0, **settings)


def last_returns(result):
    """Return the mean of each seed's last 50 episodes."""
    return np.array([seed.history.episodes.episode_return[-50:].mean() for seed in result.seeds])


def tell(name, result):
    """Print what the last 50 episodes were worth."""
    last = last_returns(result)
    print(f"{name:34} mean {last.mean():5.1f}, worst {last.min():5.1f}, at 475: {(last >= 475).sum():2} of {SEEDS}")


plain = train()
figure = plain.plot()
for seed in plain.seeds[:6]:
    figure.axes[0].plot(running_mean(seed.history.episodes.episode_return), color=GREY, linewidth=0.8)
figure

# %%
tell("the recipe", plain)
best = np.array([running_mean(seed.history.episodes.episode_return)[49:].max() for seed in plain.seeds])
print(f"the best 50 episodes of each seed: mean {best.mean():.1f}")
print(f"ended below half of its own best: {(last_returns(plain) < best / 2).sum()} of {SEEDS}")

# %% [markdown]
# The grey lines are six of the thirty. Many climb, and many fall again. The step is as long as ever, and its direction
# comes from a single episode, all of whose returns are positive. A long episode that ends by bad luck pushes hundreds
# of actions at once.
#
# ### Cure
#
# One change at a time. The first three rows have 300 episodes each (38 batches of eight are 304):
#
# 1. **Eight episodes a step.** The noise falls by $\sqrt 8$.
# 2. **A baseline.** Subtract from each return the mean of the *other* seven. It does not depend on this episode's
#    actions, so that the mean of the estimate stays the same. Worse than the others now means: less of this.
# 3. **More episodes, and a learning rate that falls to zero.** At the end the noise moves the policy no more.

# %%
eight = {"episodes_per_iteration": 8, "num_envs": 8, "num_iterations": 38}
baseline = {**eight, "baseline": "leave-one-out"}
falling = {"learning_rate_schedule": "linear"}
trained = {
    "the recipe": plain,
    "eight episodes a step": train(**eight),
    "and a baseline": train(**baseline),
    "and a falling rate, 1,200 episodes": train(**{**baseline, **falling, "num_iterations": 150}),
}
for name, result in trained.items():
    tell(name, result)
pgrad.compare(trained)

# %% [markdown]
# Is it only that the last one plays more? Give the plain recipe 1,200 episodes and a falling rate as well:

# %%
tell("the recipe, 1,200 episodes", train(**falling, num_iterations=1200))

# %% [markdown]
# ### What did they learn?
#
# Five states, and what the cured policies do there. Beside them thirty of another algorithm, actor-critic, which hold
# the top as well. Each dot is a policy.

# %%
masters = {"cured": trained["and a falling rate, 1,200 episodes"], "actor-critic": train(algorithm="actor-critic")}
states = np.array([state for _, state in CARTPOLE_STATES])
right = {name: np.array([one.probabilities(states)[:, 1] for one in r.policies]) for name, r in masters.items()}
figure, axes = new_figure(8.0, 3.4)
for name, color, offset in (("cured", BLUE, -0.2), ("actor-critic", ORANGE, 0.2)):
    places = np.arange(5) + offset + np.random.default_rng(0).uniform(-0.12, 0.12, right[name].shape)
    axes.plot(places.ravel(), right[name].ravel(), ".", color=color, alpha=0.6, label=name)
axes.set_xticks(np.arange(5), [name for name, _ in CARTPOLE_STATES])
axes.set_ylabel("π(right)")
axes.set_title("What trained policies do in five states", loc="left")
axes.legend(frameon=False)
figure

# %%
for name, result in masters.items():
    tell(name, result)
    print("    push left though the pole tilts right:", (right[name][:, 1] < 0.5).sum(), "of", SEEDS)

# %% [markdown]
# "It learned to push right when the pole tilts right." The blue ones did. The orange ones play without a fault, and
# most of them push *left* in the second state: there is more than one way to save that pole. One policy and one picture
# would have shown neither.
#
# Now the last two states, where all agree. Ask the environment what each action leads to:

# %%
env = gymnasium.make("CartPole-v1").unwrapped
for name, state in CARTPOLE_STATES:
    ends = []
    for action in (0, 1):
        env.reset(seed=0)
        env.state = np.array(state)
        ends.append(env.step(action)[2])  # terminated
    print(f"{name.replace(chr(10), ' '):30} ends with this step: left {ends[0]!s:5}  right {ends[1]}")

# %% [markdown]
# In two of the five states the episode ends with the next step *whatever one does*. Both actions bring the same reward,
# so that nothing ever taught the policy anything there. What it does there comes from its neighbours, and looks like
# knowledge.

# %% [markdown]
# ## 9. Questions, and challenges
#
# ### Why the trick, and not the sum itself?
#
# The sum needs $p(s'|s, a)$, which nobody has for a real world. And it has too many rows. FrozenLake is a toy with 16
# fields and 4 actions, and at most 100 steps:

# %%
lake = exact.from_gymnasium("FrozenLake-v1")
uniform = np.full((lake.num_states, lake.num_actions), 1 / lake.num_actions)
print(f"the chain, 3 steps: {len(chance)} trajectories")
for limit in (3, 10, 30, 100):
    number = count_trajectories(dataclasses.replace(lake, time_limit=limit), uniform)
    print(f"FrozenLake, {limit:3} steps: {number:.0e} trajectories")

# %% [markdown]
# A sample of a thousand costs a thousand, however many rows there are.
#
# ### What if all returns are positive?
#
# Then every action that is tried is pushed up, and only differences between pushes teach. A constant $c$ added to the
# rewards of a single decision leaves $\nabla J$ as it is, since scores average to zero. But the noise grows with $c^2$.
# A baseline takes the constant out:

# %%
theory.variance_against_constant(np.linspace(-3, 3, 7))

# %%
for name, spec in (("no baseline", EstimatorSpec()), ("mean of the others", EstimatorSpec(baseline=LEAVE_ONE_OUT))):
    moments = exact.moments(mdp, walker, as_function(spec), num_trajectories=2)
    print(f"the chain, {name:18}: mean {moments.mean.round(4)}, variance {np.trace(moments.covariance):.2f}")

# %% [markdown]
# Where the policy decides how *long* an episode is, a constant is no constant any more: it is paid for every step. On a
# chain of one step to the goal, with no limit, 1 more a step leaves nothing to learn, and 2 more turn the gradient
# round:

# %%
one_step = exact.chain(1, discount=0.9)  # `right` reaches the goal, `left` stays
for c in (0.0, 1.0, 2.0):
    problem = dataclasses.replace(one_step, reward=one_step.reward + c)
    gradient = exact.solve(problem, exact.Tabular(2, 2)(np.zeros(4))).gradient[:2]
    print(f"c = {c:g}: ∂J/∂h(left) = {gradient[0]:+.2f}, ∂J/∂h(right) = {gradient[1]:+.2f}")

# %% [markdown]
# ### How many episodes does an estimate need?
#
# Sampling is drawing rows of the table. So draw many batches of $N$ rows, and see how far off they are.

# %%
each_row = table.discounted_return[:, None] * table.score  # the estimate that one trajectory makes, [52, 2]
gradient, rng, sizes, errors = product.sum(axis=0), np.random.default_rng(0), 4 ** np.arange(7), []
for n in sizes:
    rows = rng.choice(len(chance), (500, n), p=chance / chance.sum())  # 500 batches
    misses = np.linalg.norm(each_row[rows].mean(axis=1) - gradient, axis=1)
    errors.append(np.sqrt(np.mean(misses**2)) / np.linalg.norm(gradient))
    print(f"N = {n:5,}: off by {errors[-1]:7.1%} of ∇J")
print(f"slope {np.polyfit(np.log(sizes), np.log(errors), 1)[0]:.3f}")
variance = np.trace(exact.moments(mdp, walker, total_return).covariance)
print(f"for an error of 10 %: {variance / (0.1 * np.linalg.norm(gradient)) ** 2:,.0f} episodes")

# %%
figure, axes = new_figure(6.4, 3.2)
axes.loglog(sizes, errors, "o", color=BLUE, label="500 batches of N")
axes.loglog(sizes, np.sqrt(variance / sizes) / np.linalg.norm(gradient), color=GREY, label="√(tr Cov / N), exact")
axes.set(xlabel="episodes N", ylabel="error, share of |∇J|")
axes.set_title("Four times the episodes, half the error", loc="left")
axes.legend(frameon=False)
figure

# %% [markdown]
# For your own trained policy, `pgrad diagnose RUN` asks the same: how many episodes would each estimator need?
#
# ### Challenge 1: two hidden layers

# %%
tell("one layer of 128", plain)
tell("two layers", train(hidden=(128, 128)))
tell("two layers, learning rate 0.001", train(hidden=(128, 128), learning_rate=0.001))
tell("two layers, eight and a baseline", train(hidden=(128, 128), **baseline))

# %% [markdown]
# A bigger network is not a faster one. With the same learning rate the same noise breaks it sooner.
#
# ### Challenge 2: the learning rate

# %%
rates = {f"learning rate {rate:g}": train(learning_rate=rate) for rate in (0.001, 0.003, 0.01, 0.1)}
for name, result in rates.items():
    tell(name, result)
pgrad.compare(rates)

# %% [markdown]
# Too large, and soon the policy does the same whatever it sees. Too small, and 300 episodes are over before much has
# happened. In between it climbs, and does not stay. No learning rate cures noise.
#
# ### Challenge 3: the lander
#
# LunarLander has 8 numbers to see and 4 actions. Only two numbers in the code change, but is the recipe good enough? It
# needs Box2D (`pip install "pgrad[box2d]"`). Recorded numbers are those of docs/results.md.

# %%
if importlib.util.find_spec("Box2D"):
    untrained = pgrad.evaluate(pgrad.MLPPolicy.initial("LunarLander-v3"))
    print("measured here, an untrained policy:                 ", untrained.mean)
    lander = pgrad.train("LunarLander-v3", algorithm="notebook", preset="none", seeds=10, evaluation_episodes=0)
    print("measured here, the recipe, 10 seeds:                ", mean_interval(last_returns(lander)))
print("recorded, the recipe, 10 seeds:                      -218.3 [-439.5, -94.2]")
print("recorded, reward-to-go in batches, 300,000 steps:    -15.8 [-76.0, 41.5]")
print("recorded, PPO, `pgrad train LunarLander-v3`, as many: 248.4 [235.2, 262.4]")

# %% [markdown]
# 200 counts as solved. There the recipe is no better than no training at all. The theorem is the same; what is missing
# is everything that tames the noise: $V(s)$ as a baseline, many steps from one batch that do not go too far, inputs and
# rewards of one size. That is the way from here to PPO, one term at a time:
# [docs/algorithms.md](../docs/algorithms.md), or `pgrad lesson` in a browser.
