// Plots in SVG. `axes` makes an empty plot, `add…` draw into it, and `linePlot`, `barPlot`, `cloudPlot` and `heatMap`
// are the usual combinations. Coordinates are those of the axes; colours come from style.css, light and dark.

import { scaleLinear, scaleLog, type ScaleContinuousNumeric } from "d3-scale";
import { area, line } from "d3-shape";
import { format, uniqueId } from "./dom";

/** Colours that colour-blind people tell apart (Okabe and Ito), each with a dark and a light form. */
export const COLOURS = {
  blue: "var(--blue)",
  orange: "var(--orange)",
  green: "var(--green)",
  vermilion: "var(--vermilion)",
  purple: "var(--purple)",
  sky: "var(--sky)",
  muted: "var(--muted)",
  ink: "var(--ink)",
} as const;

/** Colours of series, in order. */
export const SERIES = [COLOURS.blue, COLOURS.orange, COLOURS.green, COLOURS.vermilion, COLOURS.purple, COLOURS.sky];

export type Point = readonly [number, number];
export type Scale = ScaleContinuousNumeric<number, number>;

export interface Axis {
  label: string; // with its unit: "cart position (m)"
  domain: readonly [number, number];
  log?: boolean;
  ticks?: number; // about how many
  values?: readonly number[]; // or exactly which
  format?: (value: number) => string;
}

export interface LegendEntry {
  label: string;
  color: string;
  dash?: string;
}

export interface Plot {
  svg: SVGSVGElement;
  body: SVGGElement; // inside the frame, clipped to it
  x: Scale;
  y: Scale;
  width: number;
  height: number;
}

export interface AxesOptions {
  x: Axis;
  y: Axis;
  height?: number;
  equal?: boolean; // one unit of x is as long as one unit of y
  legend?: LegendEntry[];
}

type SvgAttribute = string | number | undefined;

/** Make an SVG element. Attributes that are undefined are left out. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, SvgAttribute> = {},
  ...children: (Node | string)[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

const MARGIN = { left: 50, right: 14, bottom: 42, yLabel: 26, legendRow: 20 };
const LETTER = 6.7; // mean width of a letter of the legend, pixels

/** Make an empty plot: frame, grid, ticks, labels with units, legend. */
export function axes(width: number, options: AxesOptions): Plot {
  const legend = legendRows(options.legend ?? [], width - MARGIN.left - MARGIN.right);
  const top = MARGIN.yLabel + legend.rows * MARGIN.legendRow;
  const frame = frameSize(width, options);
  const x = makeScale(options.x, [MARGIN.left, MARGIN.left + frame.width]);
  const y = makeScale(options.y, [top + frame.height, top]);
  const height = top + frame.height + MARGIN.bottom;

  const clip = uniqueId("clip");
  const rectangle = { x: MARGIN.left, y: top, width: frame.width, height: frame.height };
  const body = s("g", { "clip-path": `url(#${clip})` });
  const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, class: "plot" });
  svg.append(s("defs", {}, s("clipPath", { id: clip }, s("rect", rectangle))));
  svg.append(s("rect", { ...rectangle, class: "frame" }), xTicks(x, options.x, y), yTicks(y, options.y, x), body);
  svg.append(s("text", { x: MARGIN.left + frame.width, y: height - 6, class: "axis-label end" }, options.x.label));
  svg.append(s("text", { x: 4, y: 14, class: "axis-label" }, options.y.label), legend.element);
  return { svg, body, x, y, width, height };
}

function frameSize(width: number, options: AxesOptions): { width: number; height: number } {
  const room = width - MARGIN.left - MARGIN.right;
  if (!options.equal) return { width: room, height: options.height ?? Math.min(300, Math.max(190, 0.5 * room)) };
  const side = Math.min(room, options.height ?? 400);
  const ratio = span(options.y) / span(options.x);
  return ratio > 1 ? { width: side / ratio, height: side } : { width: side, height: side * ratio };
}

function span(axis: Axis): number {
  return axis.domain[1] - axis.domain[0];
}

function makeScale(axis: Axis, range: [number, number]): Scale {
  return (axis.log ? scaleLog() : scaleLinear()).domain(axis.domain).range(range);
}

function tickValues(scale: Scale, axis: Axis, count: number): readonly number[] {
  if (axis.values) return axis.values;
  if (axis.log) return scale.ticks().filter((value) => Math.abs(Math.log10(value) % 1) < 1e-9);
  return scale.ticks(axis.ticks ?? count);
}

function xTicks(x: Scale, axis: Axis, y: Scale): SVGGElement {
  const [bottom = 0, top = 0] = y.range();
  const [left = 0, right = 0] = x.range();
  const group = s("g", { class: "ticks" });
  for (const value of tickValues(x, axis, (right - left) / 90)) {
    group.append(s("line", { x1: x(value), x2: x(value), y1: bottom, y2: top }));
    group.append(s("text", { x: x(value), y: bottom + 16, class: "middle" }, (axis.format ?? format)(value)));
  }
  return group;
}

function yTicks(y: Scale, axis: Axis, x: Scale): SVGGElement {
  const [left = 0, right = 0] = x.range();
  const group = s("g", { class: "ticks" });
  for (const value of tickValues(y, axis, 5)) {
    group.append(s("line", { x1: left, x2: right, y1: y(value), y2: y(value) }));
    group.append(s("text", { x: left - 6, y: y(value) + 4, class: "end" }, (axis.format ?? format)(value)));
  }
  return group;
}

function legendRows(entries: LegendEntry[], room: number): { element: SVGGElement; rows: number } {
  const element = s("g", { class: "legend" });
  let column = 0;
  let row = 0;
  for (const entry of entries) {
    const width = 26 + LETTER * entry.label.length + 16;
    if (column > 0 && column + width > room) {
      column = 0;
      row += 1;
    }
    const [x, y] = [MARGIN.left + column, MARGIN.yLabel + 10 + row * MARGIN.legendRow];
    const stroke = { stroke: entry.color, "stroke-width": 3, "stroke-dasharray": entry.dash };
    element.append(s("line", { x1: x, x2: x + 20, y1: y, y2: y, ...stroke }));
    element.append(s("text", { x: x + 26, y: y + 4 }, entry.label));
    column += width;
  }
  return { element, rows: entries.length === 0 ? 0 : row + 1 };
}

export interface LineStyle {
  color?: string;
  dash?: string; // as SVG's stroke-dasharray: "5 4"
  width?: number;
  opacity?: number;
}

/** Draw a line through points. Points that are not finite interrupt it. */
export function addLine(plot: Plot, points: readonly Point[], style: LineStyle = {}): void {
  const path = line<Point>()
    .defined(([x, y]) => Number.isFinite(x) && Number.isFinite(y))
    .x((point) => plot.x(point[0]))
    .y((point) => plot.y(point[1]));
  plot.body.append(
    s("path", {
      d: path(points) ?? "",
      fill: "none",
      stroke: style.color ?? COLOURS.blue,
      "stroke-width": style.width ?? 2,
      "stroke-dasharray": style.dash,
      "stroke-linejoin": "round",
      opacity: style.opacity,
    }),
  );
}

/** Shade the band between a low and a high value at each x. */
export function addBand(plot: Plot, band: readonly (readonly [number, number, number])[], color: string): void {
  const path = area<readonly [number, number, number]>()
    .x((point) => plot.x(point[0]))
    .y0((point) => plot.y(point[1]))
    .y1((point) => plot.y(point[2]));
  plot.body.append(s("path", { d: path(band) ?? "", fill: color, opacity: 0.18 }));
}

const LAYERS = 10; // of dots: few paths draw quickly, several show where dots lie on one another

/** Draw dots at [x₀, y₀, x₁, y₁, …], a tenth of them a path. `radius` is one number, or one a dot, in pixels. */
export function addDots(
  plot: Plot,
  points: ArrayLike<number>,
  style: { color?: string; radius?: number | ArrayLike<number>; opacity?: number } = {},
): void {
  const { color = COLOURS.blue, radius = 2.5, opacity = 0.45 } = style;
  const layers = Array.from({ length: LAYERS }, () => "");
  for (let i = 0; i < points.length / 2; i += 1) {
    const r = typeof radius === "number" ? radius : radius[i]!;
    const [x, y] = [plot.x(points[2 * i]!) - r, plot.y(points[2 * i + 1]!)];
    const arcs = `a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0`;
    layers[i % LAYERS] += `M${x.toFixed(1)},${y.toFixed(1)}${arcs}`;
  }
  for (const d of layers) if (d !== "") plot.body.append(s("path", { d, fill: color, opacity }));
}

/** Draw an arrow from one point to another. */
export function addArrow(plot: Plot, from: Point, to: Point, style: LineStyle = {}): void {
  const [x0, y0, x1, y1] = [plot.x(from[0]), plot.y(from[1]), plot.x(to[0]), plot.y(to[1])];
  const { color = COLOURS.ink, width = 2.5, dash, opacity } = style;
  const length = Math.hypot(x1 - x0, y1 - y0);
  const head = Math.min(4 * width, length);
  const angle = (180 / Math.PI) * Math.atan2(y1 - y0, x1 - x0);
  const shaft = { x1: 0, y1: 0, x2: length - head, y2: 0, "stroke-width": width, "stroke-dasharray": dash };
  const tip = `M${length},0L${length - head},${0.45 * head}L${length - head},${-0.45 * head}Z`;
  const group = s("g", { transform: `translate(${x0},${y0}) rotate(${angle})`, opacity });
  group.append(s("line", { ...shaft, stroke: color }), s("path", { d: tip, fill: color }));
  plot.body.append(group);
}

export interface Rule {
  x?: number; // a vertical line
  y?: number; // or a horizontal one
  label?: string;
  color?: string;
}

/** Draw a dashed line across the plot at one x or one y, with a label. */
export function addRule(plot: Plot, rule: Rule): void {
  const [left = 0, right = 0] = plot.x.range();
  const [bottom = 0, top = 0] = plot.y.range();
  const color = rule.color ?? COLOURS.muted;
  const [x1, x2] = rule.x === undefined ? [left, right] : [plot.x(rule.x), plot.x(rule.x)];
  const [y1, y2] = rule.y === undefined ? [bottom, top] : [plot.y(rule.y), plot.y(rule.y)];
  plot.body.append(s("line", { x1, x2, y1, y2, stroke: color, "stroke-width": 1.5, "stroke-dasharray": "5 4" }));
  if (rule.label === undefined) return;
  const vertical = rule.x !== undefined;
  const nearRight = vertical && x1 > (left + right) / 2;
  const place = vertical
    ? { x: nearRight ? x1 - 5 : x1 + 5, y: top + 14, class: nearRight ? "note end" : "note" }
    : { x: right - 5, y: y1 - top > 20 ? y1 - 5 : y1 + 15, class: "note end" };
  plot.body.append(s("text", { ...place, style: `fill: ${color}` }, rule.label));
}

/** Write at a point of the plot. */
export function addText(plot: Plot, at: Point, text: string, style: { color?: string; anchor?: string } = {}): void {
  const { color = COLOURS.ink, anchor = "middle" } = style;
  plot.svg.append(
    s("text", { x: plot.x(at[0]), y: plot.y(at[1]), class: `note ${anchor}`, style: `fill: ${color}` }, text),
  );
}

export interface Series extends LineStyle {
  label?: string; // in the legend; left out where there is none
  points: readonly Point[];
  band?: readonly (readonly [number, number, number])[]; // x, low, high
}

/** Plot lines, each with an interval around it if it has one. */
export function linePlot(width: number, options: AxesOptions & { series: Series[]; rules?: Rule[] }): Plot {
  const colored = options.series.map((series, i) => ({ ...series, color: series.color ?? SERIES[i % 6]! }));
  const named = colored.filter((series) => series.label !== undefined);
  const legend = named.map(({ label, color, dash }) => ({ label: label!, color, ...(dash && { dash }) }));
  const plot = axes(width, { ...options, legend: options.legend ?? legend });
  for (const series of colored) if (series.band) addBand(plot, series.band, series.color);
  for (const rule of options.rules ?? []) addRule(plot, rule);
  for (const series of colored) addLine(plot, series.points, series);
  return plot;
}

export interface BarGroup {
  label?: string; // in the legend
  values: ArrayLike<number>; // one a bar
  color?: string;
  intervals?: readonly (readonly [number, number])[]; // low and high of each
}

export interface BarOptions {
  labels: readonly string[]; // one a place on the x axis
  xLabel: string;
  y: Axis;
  groups: BarGroup[];
  height?: number;
  rules?: Rule[];
  format?: (value: number) => string; // of the numbers on the bars
}

/** Plot bars, in groups side by side, with their values on them. Bar i is centred at x = i (one group). */
export function barPlot(width: number, options: BarOptions): Plot {
  const { labels, groups, y, height } = options;
  const x: Axis = {
    label: options.xLabel,
    domain: [-0.5, labels.length - 0.5],
    values: labels.map((_, i) => i),
    format: (i) => labels[i]!,
  };
  const colored = groups.map((group, i) => ({ ...group, color: group.color ?? SERIES[i % 6]! }));
  const legend = colored.flatMap(({ label, color }) => (label === undefined ? [] : [{ label, color }]));
  const plot = axes(width, { x, y, legend, ...(height && { height }) });
  plot.svg.classList.add("bars");
  colored.forEach((group, i) => addBars(plot, group, i, groups.length, options.format ?? format));
  for (const rule of options.rules ?? []) addRule(plot, rule);
  return plot;
}

function addBars(plot: Plot, group: BarGroup, index: number, count: number, text: (value: number) => string): void {
  const breadth = 0.7 / count;
  const zero = plot.y(Math.max(0, plot.y.domain()[0]!));
  const pixels = plot.x(breadth) - plot.x(0);
  Array.from(group.values).forEach((value, i) => {
    const center = i + (index - (count - 1) / 2) * breadth;
    const top = Math.min(zero, plot.y(value));
    const size = { width: 0.94 * pixels, height: Math.abs(plot.y(value) - zero) };
    plot.body.append(s("rect", { x: plot.x(center) - 0.47 * pixels, y: top, ...size, fill: group.color, rx: 2 }));
    const interval = group.intervals?.[i];
    if (interval) addWhisker(plot, center, interval);
    const [low, high] = interval ?? [value, value];
    const place = value < 0 ? plot.y(low) + 14 : plot.y(high) - 5;
    if (pixels > 24) plot.svg.append(s("text", { x: plot.x(center), y: place, class: "note middle" }, text(value)));
  });
}

function addWhisker(plot: Plot, x: number, [low, high]: readonly [number, number]): void {
  const at = { x1: plot.x(x), x2: plot.x(x), y1: plot.y(low), y2: plot.y(high) };
  plot.body.append(s("line", { ...at, stroke: COLOURS.ink, "stroke-width": 2 }));
}

export interface Cloud {
  label?: string; // in the legend
  points: ArrayLike<number>; // x₀, y₀, x₁, y₁, …
  color?: string;
  radius?: number | ArrayLike<number>; // pixels; one, or one a dot
  opacity?: number;
}

export interface Arrow extends LineStyle {
  label?: string; // in the legend
  from?: Point; // the origin, if not given
  to: Point;
}

/** Plot clouds of dots under arrows, with equal units on both axes. */
export function cloudPlot(width: number, options: AxesOptions & { clouds: Cloud[]; arrows?: Arrow[] }): Plot {
  const clouds = options.clouds.map((cloud, i) => ({ ...cloud, color: cloud.color ?? SERIES[i % 6]! }));
  const arrows = (options.arrows ?? []).map((arrow) => ({ ...arrow, color: arrow.color ?? COLOURS.ink }));
  const legend = [...clouds, ...arrows].flatMap(({ label, color }) => (label === undefined ? [] : [{ label, color }]));
  const plot = axes(width, { equal: true, ...options, legend: options.legend ?? legend });
  for (const cloud of clouds) addDots(plot, cloud.points, cloud);
  for (const arrow of arrows) addArrow(plot, arrow.from ?? [0, 0], arrow.to, arrow);
  return plot;
}

export interface HeatOptions extends AxesOptions {
  columns: ArrayLike<number>; // the x of each column, evenly spaced
  rows: ArrayLike<number>; // the y of each row, evenly spaced
  values: ArrayLike<number>; // [columns · rows], x fastest
  label: string; // of the colours
  range?: readonly [number, number]; // of the colours; the values' own if not given
  levels?: number;
}

/** Plot a function of two variables as bands of colour, whose edges are its contours. */
export function heatMap(width: number, options: HeatOptions): Plot {
  const { columns, rows, values, levels = 12 } = options;
  const [low, high] = options.range ?? [min(values), max(values)];
  const plot = axes(width, { ...options, legend: [{ label: "", color: "none" }] });
  const dx = (columns[columns.length - 1]! - columns[0]!) / (columns.length - 1) / 2;
  const dy = (rows[rows.length - 1]! - rows[0]!) / (rows.length - 1) / 2;
  const paths = Array.from({ length: levels }, () => "");
  for (let i = 0; i < values.length; i += 1) {
    const [x, y] = [columns[i % columns.length]!, rows[Math.floor(i / columns.length)]!];
    const [x0, x1] = [plot.x(x - dx).toFixed(1), plot.x(x + dx).toFixed(1)];
    const [y0, y1] = [plot.y(y - dy).toFixed(1), plot.y(y + dy).toFixed(1)];
    const level = Math.floor((levels * (values[i]! - low)) / (high - low));
    paths[Math.min(levels - 1, Math.max(0, level))] += `M${x0},${y0}H${x1}V${y1}H${x0}Z`;
  }
  paths.forEach((d, level) => plot.body.append(s("path", { d, style: heatStyle(level, levels) })));
  plot.svg.append(heatLegend(options.label, low, high, levels));
  return plot;
}

function heatStyle(level: number, levels: number): string {
  const color = `color-mix(in oklab, var(--heat-high) ${(100 * level) / (levels - 1)}%, var(--heat-low))`;
  return `fill:${color};stroke:${color};stroke-width:0.7`;
}

function heatLegend(label: string, low: number, high: number, levels: number): SVGGElement {
  const group = s("g", { class: "legend" });
  const [y, start] = [MARGIN.yLabel + 10, MARGIN.left];
  const text = `${label}: ${format(low)}`;
  const left = start + LETTER * text.length + 8;
  group.append(s("text", { x: start, y: y + 4 }, text));
  for (let level = 0; level < levels; level += 1) {
    group.append(s("rect", { x: left + 8 * level, y: y - 6, width: 8, height: 12, style: heatStyle(level, levels) }));
  }
  group.append(s("text", { x: left + 8 * levels + 8, y: y + 4 }, format(high)));
  return group;
}

/** Return the smallest of many values. */
export function min(values: ArrayLike<number>): number {
  return Array.from(values).reduce((a, b) => Math.min(a, b), Infinity);
}

/** Return the largest of many values. */
export function max(values: ArrayLike<number>): number {
  return Array.from(values).reduce((a, b) => Math.max(a, b), -Infinity);
}
