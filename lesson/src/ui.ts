// Everything a section builds its page from.

export * from "./controls";
export * from "./dom";
export * from "./figure";
