// Presenter mode: one section at a time, large. The arrow keys or a clicker's Page keys turn, Escape ends.

const TURNS: Record<string, number> = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 };
const OWN_KEYS = "input, select, textarea, [role=slider]"; // what the arrow keys belong to

export class Presenter {
  private presenting = false;
  private readonly button = document.querySelector<HTMLButtonElement>("#present")!;

  /** `section` tells which section is being read. */
  constructor(
    private readonly ids: readonly string[],
    private readonly section: () => string,
  ) {
    this.button.addEventListener("click", () => this.present(!this.presenting));
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** Show a section, alone if presenting. */
  show(id: string): void {
    for (const other of this.ids) document.getElementById(other)!.hidden = this.presenting && other !== id;
    document.getElementById(id)?.scrollIntoView();
  }

  private present(on: boolean): void {
    this.presenting = on;
    this.button.setAttribute("aria-pressed", String(on));
    document.documentElement.classList.toggle("presenting", on);
    this.show(this.section());
  }

  private key(event: KeyboardEvent): void {
    const turn = TURNS[event.key];
    if (!this.presenting || (event.target instanceof Element && event.target.matches(OWN_KEYS))) return;
    if (event.key === "Escape") this.present(false);
    const next = turn && this.ids[this.ids.indexOf(this.section()) + turn];
    if (!next) return;
    event.preventDefault();
    location.hash = next;
  }
}
