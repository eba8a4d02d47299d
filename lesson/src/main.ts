// The page: loads the engine, builds each section when it comes near, and keeps the table of contents and the theme.

import { h, heading, inline, notify, onceAFrame } from "./dom";
import { Engine, type EngineDescription } from "./engine";
import { exerciseElement, type Asked } from "./exercise";
import { Pool } from "./pool";
import { Score, scorePanel } from "./predict";
import { Presenter } from "./presenter";
import { recordedFigures } from "./recorded-figures";
import type { Context, Section } from "./section";
import { SECTIONS } from "./sections";
import { Address, Settings } from "./settings";
import { keep, recall } from "./storage";

const NEAR = "800px"; // how far from the window a section is built

/** The smallest module that uses a 128-bit vector: (v128.const 0) dropped. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 23, 1, 21, 0, 253, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 26, 11,
]);

interface Loaded {
  engine: Engine;
  wasm: ArrayBuffer; // for the workers
  description: EngineDescription;
  exercises: readonly Asked[];
}

/** Load what the build has put beside the page. */
async function load(): Promise<Loaded> {
  const files = await Promise.all(["engine.wasm", "engine.json", "exercises.json"].map((name) => fetch(name)));
  for (const { ok, url } of files) if (!ok) throw new Error(`${url} is not there`);
  const [wasmFile, descriptionFile, exercisesFile] = files as [Response, Response, Response];
  const wasm = await wasmFile.arrayBuffer();
  const description = (await descriptionFile.json()) as EngineDescription;
  const exercises = (await exercisesFile.json()) as Asked[];
  return { engine: await Engine.load(wasm, description), wasm, description, exercises };
}

/** Say why the page cannot run here, or return null. */
function obstacle(): string | null {
  if (location.protocol === "file:") {
    const remedy = "Run “pgrad lesson”, or “python -m http.server” in this folder.";
    return `A browser does not let a page that is opened as a file load the engine. ${remedy}`;
  }
  if (typeof WebAssembly === "undefined" || !WebAssembly.validate(SIMD)) {
    const remedy = "Any current Firefox, Chrome, Edge or Safari has it.";
    return `This browser has no WebAssembly with SIMD, in which the lesson computes. ${remedy}`;
  }
  return null;
}

/** Put every section's heading on the page; return the element that its content goes into. */
function scaffold(section: Section): HTMLElement {
  const star = section.star ? [h("span", { class: "star", title: "on the short path" }, "★")] : [];
  const meta = h("p", { class: "meta" }, ...star, `${section.star ? " short path · " : ""}${section.minutes} minutes`);
  const number = h("span", { class: "section-number" }, String(section.number));
  const title = h("h2", { id: `${section.id}-title` }, number, " ", section.title);
  const content = h("div", { class: "content waiting" });
  const labelled = { "aria-labelledby": `${section.id}-title` };
  const element = h("section", { id: section.id, class: "section", tabindex: -1, ...labelled }, title, meta, content);
  document.querySelector("#sections")!.append(element);
  return content;
}

/** Build a section; one that fails says so and leaves the others alone. */
function build(section: Section, content: HTMLElement, context: Context, exercises: readonly Asked[]): void {
  try {
    section.build(content, context);
    const own = exercises.filter(({ name }) => section.exercises?.includes(name));
    if (own.length > 0) content.append(heading(own.length > 1 ? "Exercises" : "Exercise"), ...own.map(exerciseElement));
  } catch (error) {
    console.error(error);
    content.append(h("p", { class: "failure" }, `This section could not be shown: ${String(error)}`));
  }
  content.classList.remove("waiting");
}

/** Build each section once it comes near the window. */
function buildWhenNear(
  contents: Map<Section, HTMLElement>,
  shared: Omit<Context, "settings">,
  exercises: readonly Asked[],
  address: Address,
): void {
  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter(({ isIntersecting }) => isIntersecting)) {
        observer.unobserve(entry.target);
        const [section, content] = [...contents].find(([, element]) => element === entry.target)!;
        build(section, content, { ...shared, settings: new Settings(address, section.id) }, exercises);
        address.finish(section.id);
      }
    },
    { rootMargin: NEAR },
  );
  for (const content of contents.values()) observer.observe(content);
}

/** Fill the table of contents; mark the section being read and those that were read to their end. */
function tableOfContents(address: Address): void {
  const links = new Map(SECTIONS.map((section) => [section.id, contentsLink(section)]));
  document.querySelector("#contents ol")!.append(...[...links.values()].map((link) => h("li", {}, link)));
  const read = new Set((recall("pgrad-lesson-read") ?? "").split(" "));
  const menu = document.querySelector<HTMLButtonElement>("#menu")!;
  const navigation = document.querySelector<HTMLElement>("#contents")!;

  function mark(): void {
    const sections = SECTIONS.map(({ id }) => document.getElementById(id)!.getBoundingClientRect());
    const current = SECTIONS[sections.findLastIndex(({ top, height }) => height > 0 && top < innerHeight / 3)];
    SECTIONS.forEach(({ id }, i) => {
      const { bottom } = sections[i]!;
      const waiting = document.querySelector(`#${id} .waiting`);
      if (!waiting && bottom > innerHeight / 3 && bottom < innerHeight) markRead(id);
      const link = links.get(id)!;
      link.classList.toggle("read", read.has(id));
      link.querySelector(".state")!.textContent = read.has(id) ? " (read)" : "";
      if (id === current?.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
    const share = SECTIONS.filter(({ id }) => read.has(id)).length / SECTIONS.length;
    document.querySelector<HTMLElement>("#progress")!.style.setProperty("--share", String(share));
    if (current) address.setSection(current.id);
  }

  function markRead(id: string): void {
    if (read.has(id)) return;
    read.add(id);
    keep("pgrad-lesson-read", [...read].join(" "));
  }

  function open(isOpen: boolean): void {
    menu.setAttribute("aria-expanded", String(isOpen));
    navigation.classList.toggle("open", isOpen);
  }

  menu.addEventListener("click", () => open(menu.getAttribute("aria-expanded") !== "true"));
  navigation.addEventListener("click", (event) => {
    if (event.target instanceof Element && event.target.closest("a")) open(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") open(false);
  });
  const markSoon = onceAFrame(mark);
  window.addEventListener("scroll", markSoon);
  new ResizeObserver(markSoon).observe(document.querySelector("#sections")!);
}

function contentsLink(section: Section): HTMLAnchorElement {
  const star = section.star ? [h("span", { class: "star", "aria-hidden": "true" }, " ★")] : [];
  const number = h("span", { class: "section-number" }, String(section.number));
  const state = h("span", { class: "state visually-hidden" });
  return h("a", { href: `#${section.id}` }, number, h("span", {}, ...inline(section.title), ...star, state));
}

/** Let the learner choose light, dark, or what the system says. */
function themeSwitch(): void {
  const select = document.querySelector<HTMLSelectElement>("#theme")!;
  const apply = (theme: string) => document.documentElement.setAttribute("data-theme", theme);
  const kept = recall("pgrad-lesson-theme");
  select.value = kept === "light" || kept === "dark" ? kept : "auto";
  apply(select.value);
  select.addEventListener("change", () => {
    keep("pgrad-lesson-theme", select.value);
    apply(select.value);
  });
}

/** Show the section that the address names. */
function goTo(id: string, presenter: Presenter): void {
  if (SECTIONS.some((section) => section.id === id)) presenter.show(id);
  else if (id !== "") notify("The address names a section that is not on this page. It was ignored.");
}

async function start(): Promise<void> {
  themeSwitch();
  const address = new Address(
    SECTIONS.map(({ id }) => id),
    notify,
  );
  const contents = new Map(SECTIONS.map((section) => [section, scaffold(section)]));
  history.scrollRestoration = "manual"; // sections that are not built yet have no place to return to
  const presenter = new Presenter(
    SECTIONS.map(({ id }) => id),
    () => address.section,
  );
  goTo(address.section, presenter);
  window.addEventListener("hashchange", () => goTo(address.section, presenter)); // a link that was pasted into this window
  tableOfContents(address);
  const score = new Score();
  document.querySelector("#score")!.append(scorePanel(score));
  const problem = obstacle();
  if (problem !== null) {
    notify(problem);
    document.querySelector("#sections")!.replaceChildren(recordedFigures());
    return;
  }
  try {
    const { engine, wasm, description, exercises } = await load();
    buildWhenNear(contents, { engine, pool: new Pool(wasm, description, notify), score }, exercises, address);
  } catch (error) {
    console.error(error);
    notify(`The engine could not be loaded: ${String(error)}`);
  }
}

void start();
