// What was staged: written by scene/stage.py, beside the data.

import { dateTime, type TimeRange } from '@grafana/data';

export interface Scene {
  /** Unix seconds. */
  from: number;
  to: number;
  scrapeSeconds: number;
}

export function rangeOf(scene: Scene): TimeRange {
  const from = dateTime(scene.from * 1000);
  const to = dateTime(scene.to * 1000);
  return { from, to, raw: { from, to } };
}
