// Do the exercises on the page as a learner does: node exercises.mjs, and what visit.ts needs.

import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { assertAccessible, browser, visit, whole } from "./visit";

const NAME = "estimate_policy_gradient";
const WRONG = `def ${NAME}(log_probs, returns):
    for row, g in zip(log_probs, returns):
        return g * sum(row) / len(returns)
`;
const RIGHT = `def ${NAME}(log_probs, returns):
    return sum(g * sum(row) for row, g in zip(log_probs, returns)) / len(returns)
`;
const ENDLESS = `def temperature_softmax(preferences, temperature=1.0):
    while True:
        pass
`;

async function open(page: Page, name: string): Promise<Locator> {
  const exercise = page.locator(`#exercise-${name}`);
  await exercise.locator("summary").first().click();
  return exercise;
}

async function answer(exercise: Locator, code: string): Promise<void> {
  await exercise.getByRole("textbox").fill(code);
  await exercise.getByRole("button", { name: "Check" }).click();
}

await visit(
  "a wrong answer gets its diagnosis and picture, a right one its tick, and a reload keeps both",
  async (page) => {
    const exercise = await open(page, NAME);
    await answer(exercise, WRONG);
    await exercise.getByText("Not yet: only the first trajectory").waitFor();
    const picture = exercise.locator("svg.weights");
    await picture.waitFor();
    assert.equal(await picture.locator("rect").count(), 12); // batches of 2 + 3 + 1 steps, twice
    assert.match((await exercise.locator("[role=img]").getAttribute("aria-label"))!, /episode 1: 0, 0, 0; wanted/);
    assert.equal(await exercise.locator(".tick").textContent(), "");
    await answer(exercise, RIGHT);
    await exercise.getByText("✓ solved").waitFor();
    await page.reload();
    await exercise.getByText("✓ solved").waitFor();
    await exercise.locator("summary").first().click();
    assert.equal(await exercise.getByRole("textbox").inputValue(), RIGHT);
    await exercise.getByRole("button", { name: "Start again" }).click();
    assert.match(await exercise.getByRole("textbox").inputValue(), /return \.\.\./);
    assert.equal(await exercise.locator(".tick").textContent(), "");
  },
  { hash: "#estimator" },
);

if (whole) {
  await visit(
    "an answer that never returns gets its message, and the page stays alive meanwhile",
    async (page) => {
      const exercise = await open(page, "temperature_softmax");
      await answer(exercise, ENDLESS);
      const slider = page.locator("#softmax").getByRole("slider", { name: "Temperature" }).first();
      const before = await slider.getAttribute("aria-valuetext");
      await slider.press("ArrowLeft");
      assert.notEqual(await slider.getAttribute("aria-valuetext"), before);
      assert.equal(await exercise.locator(".verdict").count(), 0);
      await exercise.getByText("Not yet: it does not end").waitFor();
    },
    { hash: "#softmax" },
  );

  await visit(
    "the keyboard alone opens, writes, checks, asks for hints and leaves",
    async (page) => {
      const exercise = page.locator("#exercise-rewards_to_go");
      await exercise.locator("summary").first().focus();
      await page.keyboard.press("Enter");
      await exercise.getByRole("textbox").waitFor();
      await page.keyboard.press("Tab");
      await page.keyboard.press("ControlOrMeta+A");
      await page.keyboard.type(
        "def rewards_to_go(rewards, discount):\nresult, running = [], 0.0\nfor r in rewards[::-1]:\n",
      );
      await page.keyboard.type("running = r + discount * running\nresult.append(running)\n");
      await page.keyboard.press("Shift+Tab");
      await page.keyboard.type("return result[::-1]");
      const typed = await exercise.getByRole("textbox").inputValue();
      assert.match(typed, /\n {4}for r in rewards\[::-1\]:\n {8}running.*\n {8}result.*\n {4}return/);
      await page.keyboard.press("ControlOrMeta+Enter");
      await exercise.getByText("✓ solved").waitFor();
      await page.keyboard.press("Tab");
      assert.equal(await exercise.getByRole("textbox").inputValue(), `${typed}    `);
      await page.keyboard.press("ControlOrMeta+Z");
      assert.equal(await exercise.getByRole("textbox").inputValue(), typed);
      await page.keyboard.press("Escape");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      for (const count of [1, 2, 3]) {
        await page.keyboard.press("Enter");
        assert.equal(await exercise.locator(".hints li").count(), count);
      }
    },
    { hash: "#performance" },
  );

  await visit("every exercise takes its own solutions, and calls its starter not begun", async (page) => {
    const asked = await page.evaluate(async () => (await fetch("exercises.json")).json());
    assert.ok(asked.length >= 11);
    for (const section of await page.locator("#sections > section").all()) {
      await section.scrollIntoViewIfNeeded();
      await section.locator(".content:not(.waiting)").waitFor();
    }
    for (const { name, solutions } of asked) {
      const exercise = await open(page, name);
      await exercise.getByRole("button", { name: "Check" }).click();
      await exercise.getByText("Not yet: not begun yet").waitFor();
      await answer(exercise, solutions["loops"]);
      await exercise.getByText("✓ Right").waitFor();
    }
  });

  for (const width of [400, 1400]) {
    for (const dark of [false, true]) {
      await visit(
        `an exercise fits ${width} pixels, ${dark ? "dark" : "light"}, and names its parts`,
        async (page) => {
          const exercise = await open(page, NAME);
          await answer(exercise, WRONG);
          await exercise.locator("svg.weights").waitFor();
          await exercise.getByRole("button", { name: "Hint" }).click();
          await exercise.getByRole("button", { name: "Solutions" }).click();
          await assertAccessible(page);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
        },
        { hash: "#estimator", width, dark },
      );
    }
  }

  await visit(
    "an answer that the server refuses, or that finds no server, is told so",
    async (page) => {
      await page.evaluate(() => localStorage.setItem("pgrad-lesson-checker", "of an earlier server"));
      await page.reload();
      const exercise = await open(page, NAME);
      await answer(exercise, RIGHT);
      await exercise.getByText("open the address that “pgrad lesson” has printed").waitFor();
      await page.context().setOffline(true);
      await answer(exercise, RIGHT);
      await exercise.getByText("“pgrad lesson” is no longer running").waitFor();
    },
    { hash: "#estimator", complaints: 2 },
  );

  await visit(
    "what the learner's code prints and raises is shown as text",
    async (page) => {
      const exercise = await open(page, NAME);
      await answer(
        exercise,
        `def ${NAME}(a, b):\n    print("<img src=x onerror=hacked=1>")\n    raise ValueError("<b>")`,
      );
      await exercise.getByText("<img src=x").waitFor();
      assert.equal(await exercise.locator("img, b").count(), 0);
    },
    { hash: "#estimator" },
  );

  await visit(
    "where no Python serves the page, it says how to check an answer, and saves it",
    async (page) => {
      await page.evaluate(() => localStorage.clear());
      await page.reload();
      const exercise = await open(page, NAME);
      await exercise.getByText(`pgrad exercise ${NAME} ${NAME}.py`).waitFor();
      assert.equal(await exercise.getByRole("button", { name: "Check" }).count(), 0);
      const [file] = await Promise.all([
        page.waitForEvent("download"),
        exercise.getByRole("button", { name: "Save as a file" }).click(),
      ]);
      assert.equal(file.suggestedFilename(), `${NAME}.py`);
    },
    { hash: "#estimator" },
  );
}

await browser.close();
