/** What draws: a name that says how much it can carry, as the window asks for it. */

let asked: string | null | undefined;

/** The renderer's name, which may be hidden: then it is empty. Null where this browser draws no WebGL2. */
export function graphics(): string | null {
  if (asked !== undefined) return asked;
  const context = document.createElement("canvas").getContext("webgl2");
  asked = null;
  if (context !== null) {
    const told = context.getExtension("WEBGL_debug_renderer_info");
    const name: unknown = context.getParameter(told === null ? context.RENDERER : told.UNMASKED_RENDERER_WEBGL);
    asked = typeof name === "string" ? name.slice(0, 200) : "";
    // A browser has only a few of them.
    context.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return asked;
}

/** As `tracescape_render.renderer` tells it. */
const SOFTWARE = ["llvmpipe", "softpipe", "swrast", "software", "swiftshader", "basic render"];

/** Whether the processor draws, by which smooth edges take half of a frame. */
export function isSoftware(): boolean {
  const name = (graphics() ?? "").toLowerCase();
  return SOFTWARE.some((word) => name.includes(word));
}
