/** The codes of states, as palette.py has them; without anything that draws. */

import type { State } from "../documents";

export const STATES: readonly State[] = ["healthy", "degraded", "failing", "idle", "absent"];
export const HEALTHY = 0;
export const DEGRADED = 1;
export const FAILING = 2;
export const IDLE = 3;
export const ABSENT = 4;
