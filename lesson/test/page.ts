// Use the page as a learner does: EXPECTED='{…}' node page.mjs, and what visit.ts needs.
// tests/lesson/test_page.py serves the page, and computes with pgrad what figures must say.

import assert from "node:assert/strict";
import test from "node:test";
import type { Page } from "playwright-core";
import { address, assertAccessible, browser, visit, whole } from "./visit";

interface Expected {
  softmax: { preferences: number[]; temperature: number; probabilities: number[] };
  theorem: { theta: number[]; performance: number; gradient: number[] };
  questions: number[]; // which option is right
}

const expected = JSON.parse(process.env["EXPECTED"]!) as Expected;
const SECTIONS = 14;

/** Build every section by scrolling through the page. */
async function scroll(page: Page): Promise<void> {
  await page.waitForSelector("#sections > section");
  for (const section of await page.locator("#sections > section").all()) {
    await section.scrollIntoViewIfNeeded();
    await section.locator(".content:not(.waiting)").waitFor();
  }
  await page.waitForTimeout(300);
}

/** Show every truth that a section's predictions hide. */
async function reveal(page: Page, section: string): Promise<void> {
  await page.locator(`#${section} .content:not(.waiting)`).waitFor();
  for (const question of await page.locator(`#${section} .predict`).all()) {
    await question.getByRole("button", { name: "Just show me" }).click();
    await question.locator(".predict-truth").waitFor({ timeout: 120_000 });
  }
}

/** Return every number in a text. */
function numbers(text: string): number[] {
  return (text.replaceAll("−", "-").match(/-?\d[\d,]*\.?\d*/g) ?? []).map((word) => Number(word.replaceAll(",", "")));
}

function assertSays(text: string, values: number[], digits: number): void {
  for (const value of values) {
    const close = numbers(text).some((number) => Math.abs(number - value) <= 0.51 * 10 ** -digits);
    assert.ok(close, `${value} is not in: ${text}`);
  }
}

for (const [width, dark] of whole
  ? ([
      [400, false],
      [400, true],
      [1400, false],
      [1400, true],
    ] as const)
  : ([
      [400, true],
      [1400, false],
    ] as const)) {
  await visit(
    `every section stands at ${width} pixels, ${dark ? "dark" : "light"}, and names all its parts`,
    async (page) => {
      await scroll(page);
      assert.equal(await page.locator("#sections > section").count(), SECTIONS);
      assert.equal(await page.locator(".failure").count(), 0);
      const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(content <= window, `the page is ${content} pixels wide in a window of ${window}`);
      await assertAccessible(page);
      for (const figure of await page.locator("figure [role=img]:visible").all()) {
        assert.ok(((await figure.getAttribute("aria-label")) ?? "").length > 20, await figure.innerHTML());
      }
    },
    { width, dark },
  );
}

const { preferences, temperature, probabilities } = expected.softmax;
await visit(
  "the address sets preferences and temperature, and the figure tells pgrad's probabilities",
  async (page) => {
    await reveal(page, "softmax");
    const figures = await page.locator("#softmax .words:visible").allTextContents();
    assertSays(figures.join(" "), probabilities, 2);
  },
  { hash: `#softmax?softmax.preferences=${preferences.join(",")}&softmax.temperature=${temperature}` },
);

await visit(
  "a slider moved by the keyboard alone moves the figure and the address, and a reload brings it back",
  async (page) => {
    await reveal(page, "softmax");
    const slider = page
      .locator("#softmax")
      .getByRole("slider", { name: /temperature/i })
      .first();
    const words = page.locator("#softmax .words:visible");
    const first = await words.allTextContents();
    await slider.focus();
    for (let k = 0; k < 5; k++) await page.keyboard.press("ArrowRight");
    const moved = await slider.getAttribute("aria-valuetext");
    await page.waitForFunction(() => location.hash.includes("softmax.temperature"));
    assert.notDeepEqual(await words.allTextContents(), first);
    await page.reload();
    await page.locator("#softmax .content:not(.waiting)").waitFor();
    assert.equal(await slider.getAttribute("aria-valuetext"), moved);
  },
  { hash: "#softmax" },
);

await visit(
  "a number outside its range is clamped with a message",
  async (page) => {
    const box = page.locator("#softmax input[type=number]:visible").first();
    await box.fill("1000");
    await box.press("Enter");
    await page.locator("#softmax").getByText("The largest value here is").first().waitFor();
  },
  { hash: "#softmax" },
);

const { theta, performance, gradient } = expected.theorem;
await visit(
  "the table of trajectories adds up to pgrad's J and ∇J",
  async (page) => {
    await reveal(page, "trick");
    await page.waitForTimeout(300);
    const text = (await page.locator("#trick").textContent()) ?? "";
    assertSays(text, [performance], 3);
    assertSays(text, gradient, 3);
  },
  { hash: `#trick?trick.theta=${theta.join(",")}` },
);

await visit(
  "hostile and wrong settings are ignored, with a line",
  async (page) => {
    await page.locator("#softmax .content:not(.waiting)").waitFor();
    await page.locator("#notices").getByText("<img").first().waitFor();
    assert.equal(await page.locator("img, #notices b").count(), 0);
    assert.equal(await page.evaluate(() => "hacked" in window), false);
    assert.equal(await page.evaluate(() => location.hash.includes("img")), false);
  },
  { hash: `#softmax?softmax.temperature=${encodeURIComponent("<img src=x onerror=hacked=1>")}&zzz=1` },
);

await visit(
  "a prediction is scored, kept, and forgotten",
  async (page) => {
    const section = page.locator("#tables");
    const question = section.locator(".predict").first();
    await section.locator(".content:not(.waiting)").waitFor();
    await question.getByRole("button", { name: "Commit" }).click();
    await question.locator(".message").getByText("first").waitFor();
    if ((await question.locator("input[type=radio]").count()) > 0)
      await question.locator("input[type=radio]").first().check({ force: true });
    for (const box of await question.locator("input[type=number]").all()) await box.fill("1");
    await question.getByRole("button", { name: "Commit" }).click();
    await question.locator(".predict-truth").waitFor();
    await page.reload();
    await question.locator(".predict-truth").getByText("You said").waitFor();
    const panel = page.getByRole("region", { name: "Your predictions" });
    assert.doesNotMatch((await panel.textContent()) ?? "", /No predictions yet/);
    await panel.getByRole("button", { name: "Forget" }).click();
    await question.getByRole("button", { name: "Commit" }).waitFor();
  },
  { hash: "#tables" },
);

await visit(
  "thirty seeds train offline",
  async (page, context) => {
    await page.locator("#train .content:not(.waiting)").waitFor();
    await context.setOffline(true);
    await reveal(page, "train");
    const words = (await page.locator("#train .words:visible").allTextContents()).join(" ");
    assert.match(words, /30/);
  },
  { hash: "#train" },
);

if (whole) {
  await test("without vectors in WebAssembly the page says so, and shows recorded figures", async () => {
    const page = await browser.newPage();
    await page.addInitScript(() => {
      WebAssembly.validate = () => false;
    });
    await page.goto(address);
    await page.getByText("has no WebAssembly with SIMD").waitFor();
    const pictures = page.locator(".recorded");
    for (const picture of await pictures.all()) {
      await picture.scrollIntoViewIfNeeded();
      assert.ok(
        await picture.evaluate((image: HTMLImageElement) => image.decode().then(() => image.naturalWidth > 300)),
      );
    }
    assert.ok((await pictures.count()) >= 7);
    await page.close();
  });

  await test("a worker that dies is replaced and named, and the page stays alive", async () => {
    const page = await browser.newPage();
    await page.addInitScript(() => {
      let struck = false;
      window.Worker = class extends Worker {
        override postMessage(message: { type: string }): void {
          if (message.type !== "train" || struck) return super.postMessage(message);
          struck = true;
          this.terminate();
          this.dispatchEvent(new ErrorEvent("error", { message: "struck dead" }));
        }
      };
    });
    await page.goto(`${address}#train`);
    await page.locator("#train .content:not(.waiting)").waitFor();
    await page.locator("#train .predict").first().getByRole("button", { name: "Just show me" }).click();
    await page.locator("#notices").getByText("struck dead").waitFor();
    await page.locator("#train .predict-truth").first().waitFor({ timeout: 60_000 });
    await page.close();
  });

  await visit(
    "a training is cancelled by the next move, and only what was let finish is on the board",
    async (page) => {
      const section = page.locator("#train");
      await section.locator(".content:not(.waiting)").waitFor();
      await section.locator(".predict").first().getByRole("button", { name: "Just show me" }).click();
      await section.locator(".predict-truth").first().waitFor({ timeout: 60_000 });
      const rows = section.locator("table:has(button) tbody tr");
      const before = await rows.count();
      const rate = section.getByRole("slider", { name: /learning rate/i }).first();
      for (const key of ["ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowLeft"]) {
        await rate.press(key);
        await page.waitForTimeout(250); // long enough to begin, too short to finish
      }
      await page.waitForFunction(
        (count) => document.querySelectorAll("#train table:has(button) tbody tr").length > count,
        before,
        { timeout: 60_000 },
      );
      await page.waitForTimeout(500);
      assert.equal(await rows.count(), before + 1);
    },
    { hash: "#train" },
  );

  await visit(
    "presenting shows one section at a time, turned by the keyboard, and ends where it is",
    async (page) => {
      await page.locator("#softmax .content:not(.waiting)").waitFor();
      await page.getByRole("button", { name: "Present" }).click();
      const shown = page.locator("#sections > section:visible");
      assert.equal(await shown.count(), 1);
      await page.keyboard.press("PageDown");
      await page.locator("#network .content:not(.waiting)").waitFor();
      await page.keyboard.press("ArrowLeft");
      await page.locator("#softmax").waitFor();
      const handle = page.getByRole("slider", { name: "Preference for a₂" });
      const { x, y, width, height } = (await handle.locator(".handle-knob").boundingBox())!;
      const middle: [number, number] = [x + width / 2, y + height / 2];
      await page.mouse.move(...middle);
      await page.mouse.down();
      await page.mouse.move(middle[0], middle[1] + 5);
      await page.mouse.move(...middle);
      await page.mouse.up();
      assert.ok(Math.abs(Number(await handle.getAttribute("aria-valuenow")) - 1) < 0.05); // it stays under the pointer
      await handle.press("ArrowRight"); // which belongs to it
      assert.equal(await shown.getAttribute("id"), "softmax");
      await page.getByRole("button", { name: "Present" }).focus();
      await page.keyboard.press("ArrowRight");
      await page.locator("#network").waitFor();
      await assertAccessible(page);
      await page.keyboard.press("Escape");
      assert.equal(await shown.count(), SECTIONS);
      assert.match(await page.evaluate(() => location.hash), /^#network/);
    },
    { hash: "#softmax" },
  );

  await visit(
    "twelve questions are answered twice, then measured, and the score tells both times",
    async (page) => {
      const section = page.locator("#questions");
      await section.locator(".content:not(.waiting)").waitFor();
      await section.getByRole("button", { name: "Keep my answers" }).click();
      await section.getByText("Not answered yet: 1, 2, 3").waitFor();
      for (const group of await section.getByRole("group").all()) await group.getByRole("radio").first().check();
      await section.getByRole("button", { name: "Keep my answers" }).click();
      await page.reload();
      await section.getByText("Your answers from before are kept").waitFor();
      const groups = await section.getByRole("group").all();
      assert.equal(groups.length, expected.questions.length);
      for (const [i, group] of groups.entries()) {
        await group.getByRole("radio").nth(expected.questions[i]!).check();
      }
      await section.getByRole("button", { name: "Measure the answers" }).click();
      await section.getByText("now 12 are").waitFor({ timeout: 60_000 });
      assert.match((await section.textContent())!, /Before, [0-9]+ of 12 were right/);
      await section.getByRole("button", { name: "Forget my answers" }).click();
      await section.getByRole("button", { name: "Keep my answers" }).waitFor();
    },
    { hash: "#questions" },
  );

  await visit("every slider and choice moves, and nothing breaks", async (page) => {
    await scroll(page);
    for (const section of await page.locator("#sections > section").all()) {
      for (const slider of await section.getByRole("slider").all()) {
        if (!(await slider.isVisible())) continue;
        await slider.focus();
        const before = await slider.getAttribute("aria-valuetext");
        await page.keyboard.press("ArrowLeft");
        await page.keyboard.press("ArrowUp");
        await page.keyboard.press("ArrowRight");
        const name = await slider.evaluate((element) => element.outerHTML.slice(0, 120));
        assert.notEqual(before, null, name);
      }
      for (const option of await section.locator("input[type=radio]:visible").all())
        await option.check({ force: true });
    }
    await page.waitForTimeout(1000);
    assert.equal(await page.locator(".failure").count(), 0);
  });
}

await browser.close();
