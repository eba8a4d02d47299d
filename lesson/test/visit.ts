// A real browser that visits the page: CHROMIUM=… PAGE=http://… AXE=axe.min.js node SCRIPT.mjs [--whole]

import assert from "node:assert/strict";
import fs from "node:fs";
import test from "node:test";
import { type BrowserContext, chromium, type Page } from "playwright-core";

export const address = process.env["PAGE"]!;
export const whole = process.argv.includes("--whole");
const axe = fs.readFileSync(process.env["AXE"]!, "utf8");

export const browser = await chromium.launch({ executablePath: process.env["CHROMIUM"]!, args: ["--no-sandbox"] });

/** Open the page in a browser of its own, run a test on it, and demand that nothing was complained of. */
export async function visit(
  name: string,
  use: (page: Page, context: BrowserContext) => Promise<void>,
  { hash = "", width = 1400, dark = false, complaints = 0 } = {},
): Promise<void> {
  await test(name, async () => {
    const colorScheme = dark ? "dark" : "light";
    const context = await browser.newContext({
      viewport: { width, height: 900 },
      colorScheme,
      reducedMotion: "reduce",
    });
    const page = await context.newPage();
    const said: string[] = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && said.push(message.text()));
    page.on("pageerror", (error) => said.push(error.message));
    try {
      await page.goto(`${address}${hash}`);
      await use(page, context);
      assert.equal(said.length, complaints, said.join("\n"));
    } finally {
      await context.close();
    }
  });
}

/** Demand that readers of the screen are told of everything, and that all can be read. */
export async function assertAccessible(page: Page): Promise<void> {
  await page.evaluate(axe);
  const found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})");
  const { violations } = found as { violations: { id: string; nodes: { html: string }[] }[] };
  const named = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join("\n  ")}`);
  assert.deepEqual(named, []);
}
