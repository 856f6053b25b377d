// Where panels lie: Grafana's grid of 24 columns, with rows that are closed taken as open.

import type { Dashboard, Panel, RowPanel } from './model';

export const WIDTH = 1600;
const MARGIN = 16;
const GAP = 8;
const CELL = 30;

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** All panels, each in its place; closed rows are opened, and what is below them moves down. */
export function opened(dashboard: Dashboard): Array<Panel | RowPanel> {
  const found: Array<Panel | RowPanel> = [];
  let shift = 0;
  for (const panel of (dashboard.panels ?? []) as Array<Panel | RowPanel>) {
    const moved = movedBy(panel, shift);
    found.push(moved);
    if (isRow(panel) && panel.panels.length) {
      const inside = panel.panels as Panel[];
      const first = Math.min(...inside.map((each) => each.gridPos!.y));
      const below = moved.gridPos!.y + 1;
      found.push(...inside.map((each) => movedBy(each, below - first)));
      shift += Math.max(...inside.map((each) => each.gridPos!.y + each.gridPos!.h)) - first;
    }
  }
  return found;
}

function movedBy<T extends Panel | RowPanel>(panel: T, rows: number): T {
  const place = panel.gridPos ?? { x: 0, y: 0, w: 12, h: 8 };
  return { ...panel, gridPos: { ...place, y: place.y + rows } };
}

export function isRow(panel: Panel | RowPanel): panel is RowPanel {
  return panel.type === 'row';
}

/** The pixels of a panel, from the top left corner of the grid. */
export function boxOf(panel: Panel | RowPanel): Box {
  const { x, y, w, h } = panel.gridPos!;
  const column = (WIDTH - 2 * MARGIN + GAP) / 24;
  return {
    left: MARGIN + Math.round(x * column),
    top: y * (CELL + GAP),
    width: Math.round(w * column - GAP),
    height: h * (CELL + GAP) - GAP,
  };
}

export function heightOf(panels: Array<Panel | RowPanel>): number {
  return Math.max(0, ...panels.map(boxOf).map(({ top, height }) => top + height)) + MARGIN;
}
