/** The theme's colours, as the style sheet has them, which a test compares with palette.py. */

import { Color, ColorManagement } from "three";
import { STATES } from "./codes";

// Colours go to the screen as they are written: what is told by a colour is told by the same one everywhere.
ColorManagement.enabled = false;

export { ABSENT, DEGRADED, FAILING, HEALTHY, IDLE, STATES } from "./codes";

export interface Colours {
  states: Color[];
  marks: Color[];
  ground: Color;
  plate: Color;
  grid: Color;
  stem: Color;
  way: Color;
  light: Color;
  cause: Color;
  selection: Color;
  fading: number;
}

export function colours(past: boolean): Colours {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => new Color(style.getPropertyValue(`--${name}`).trim() || "#888888");
  const then = past ? "past-" : "";
  return {
    states: STATES.map((state) => of(state)),
    marks: STATES.map((state) => of(`${state}-mark`)),
    ground: of(`${then}sky-0`).lerp(of(`${then}sky-1`), 0.5),
    plate: of(`${then}floor`),
    grid: of(`${then}lines`),
    stem: of("stem"),
    way: of("way"),
    light: of("light"),
    cause: of("cause"),
    selection: of("selection"),
    fading: Number(style.getPropertyValue("--fading")) || 1,
  };
}
