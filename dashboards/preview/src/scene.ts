// What was staged: written by scene/stage.py, beside the data.

export interface Scene {
  /** Unix seconds. */
  from: number;
  to: number;
  scrapeSeconds: number;
  /** When what happened. */
  events: Record<string, number>;
}

/** The scene as it stood when something happened; without a name, all of it. */
export function upTo(event: string | null, scene: Scene): Scene {
  return event ? { ...scene, to: scene.events[event] } : scene;
}
