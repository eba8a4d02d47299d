// A drawing of CartPole: a cart on a track, and the pole that is hinged to it, in true proportions.

import type { State } from "../engine";
import { addLine, addRule, axes, COLOURS, s, type LegendEntry, type Plot, type Point } from "../plot";
import { fixed } from "../ui";

export const POSITION_LIMIT = 2.4; // m: an episode ends beyond it
export const ANGLE_LIMIT = 12; // degrees: likewise
export const DEGREE = Math.PI / 180;

const CART = { width: 0.4, height: 0.24 }; // m
const POLE = 1; // m

/** Make an empty track. */
export function track(width: number, legend: LegendEntry[]): Plot {
  const plot = axes(width, {
    x: { label: "cart position x (m)", domain: [-2.6, 2.6], values: [-2.4, -1.2, 0, 1.2, 2.4] },
    y: { label: "height above the hinge (m)", domain: [-0.35, 1.15], values: [0, 0.5, 1] },
    height: width,
    equal: true,
    legend,
  });
  for (const x of [-POSITION_LIMIT, POSITION_LIMIT]) addRule(plot, { x });
  addLine(
    plot,
    [
      [-2.6, -CART.height],
      [2.6, -CART.height],
    ],
    { color: COLOURS.muted, width: 1.5 },
  );
  return plot;
}

/** Draw the cart and its pole. */
export function addCart(plot: Plot, state: State, style: { color: string; opacity?: number }): void {
  const { color, opacity } = style;
  const [x] = state;
  const left = plot.x(x - CART.width / 2);
  const size = { width: plot.x(CART.width) - plot.x(0), height: plot.y(0) - plot.y(CART.height) };
  plot.body.append(s("rect", { x: left, y: plot.y(0), ...size, rx: 3, fill: color, opacity }));
  addLine(plot, [[x, 0], tip(state)], { color, width: 5, ...(opacity !== undefined && { opacity }) });
}

/** Return where the pole ends. */
export function tip([x, , angle]: State): Point {
  return [x + POLE * Math.sin(angle), POLE * Math.cos(angle)];
}

/** Return the pole's angle when its tip is so far to the right of the hinge. */
export function angleOfTip(offset: number): number {
  return Math.asin(Math.min(1, Math.max(-1, offset / POLE)));
}

/** Tell where the cart and the pole are. */
export function inWords([x, , angle]: State): string {
  return `the cart is at ${fixed(x, 2)} m and the pole ${lean(angle / DEGREE)}`;
}

function lean(degrees: number): string {
  if (Math.abs(degrees) < 0.05) return "stands upright";
  return `leans ${fixed(Math.abs(degrees), 1)}° to the ${degrees > 0 ? "right" : "left"}`;
}
