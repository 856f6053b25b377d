// Heatmaps of buckets over time. Grafana's panel is in no package: cells, axes and colours are drawn here.

import { type DataFrame, FieldType, formattedValueToString, getValueFormat } from '@grafana/data';
import { useTheme2 } from '@grafana/ui';
import { useLayoutEffect, useRef } from 'react';
import uPlot from 'uplot';

import type { PanelProps } from './props';

/** Colours from few to many, as in Grafana's scheme "Oranges" on a dark page. */
const SCHEME = ['#3a2417', '#7f2704', '#a63603', '#d94801', '#f16913', '#fd8d3c', '#fdae6b', '#fdd0a2', '#fee6ce'];
const LEFT = 64;

interface Row {
  label: string;
  cells: Map<number, number>;
}

export function HeatmapPanel({ panel, data, range, width, height }: PanelProps) {
  const theme = useTheme2();
  const node = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const rows = rowsOf(data.frames, panel.options?.yAxis?.unit ?? panel.fieldConfig?.defaults?.unit ?? 'none');
    const times = [...new Set(rows.flatMap((row) => [...row.cells.keys()]))].sort((a, b) => a - b);
    const stepMs = Math.min(...times.slice(1).map((time, index) => time - times[index]));
    const most = Math.max(...rows.flatMap((row) => [...row.cells.values()]));
    const axis = {
      font: `12px ${theme.typography.fontFamily}`,
      stroke: theme.colors.text.primary,
      grid: { show: false },
      ticks: { show: false },
    };
    const every = Math.ceil(rows.length / Math.max(1, Math.floor(height / 26)));
    const plot = new uPlot(
      {
        width,
        height,
        ms: 1,
        tzDate: (ms) => uPlot.tzDate(new Date(ms), 'UTC'),
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { time: true, range: [range.from.valueOf(), range.to.valueOf()] },
          y: { range: [0, rows.length] },
        },
        axes: [
          {
            ...axis,
            size: 26,
            // Ticks less than a minute apart are told with their seconds.
            values: (_, ticks) => ticks.map((ms) => timeOf(ms, ticks[1] - ticks[0] < 60_000)),
          },
          {
            ...axis,
            size: LEFT,
            splits: () => rows.map((_, index) => index + 1).filter((index) => (rows.length - index) % every === 0),
            values: (_, splits) => splits.map((index) => rows[index - 1]?.label ?? ''),
          },
        ],
        series: [{}, { scale: 'y', paths: () => null, points: { show: false } }],
        hooks: {
          draw: [
            (plot) =>
              rows.forEach((row, index) => {
                for (const [time, count] of row.cells) {
                  drawCell(plot, time, stepMs, index, colorOf(count / most));
                }
              }),
          ],
        },
      },
      [times, times.map(() => null)],
      node.current!
    );
    return () => plot.destroy();
  }, [data, range, width, height, panel, theme]);
  return <div ref={node} />;
}

function timeOf(ms: number, withSeconds: boolean): string {
  return new Date(ms).toISOString().slice(11, withSeconds ? 19 : 16);
}

/** A row of cells for each bucket that ever held something, and those between; labelled with its upper bound. */
function rowsOf(frames: DataFrame[], unit: string): Row[] {
  const format = getValueFormat(unit);
  const rows = frames.map((frame) => {
    const time = frame.fields.find((field) => field.type === FieldType.time)!;
    const value = frame.fields.find((field) => field.type === FieldType.number)!;
    const bound = value.labels?.le ?? '';
    return {
      label: bound === '+Inf' ? '+Inf' : formattedValueToString(format(Number(bound))).replace(' ', '\u00a0'),
      cells: new Map(
        time.values.map((ms, at): [number, number] => [ms, value.values[at] ?? 0]).filter(([, count]) => count > 0)
      ),
    };
  });
  const used = rows.map((row) => row.cells.size > 0);
  return rows.slice(used.indexOf(true), used.lastIndexOf(true) + 1);
}

function drawCell(plot: uPlot, time: number, stepMs: number, row: number, color: string): void {
  const left = plot.valToPos(time - stepMs, 'x', true);
  const right = plot.valToPos(time, 'x', true);
  const top = plot.valToPos(row + 1, 'y', true);
  const bottom = plot.valToPos(row, 'y', true);
  // Between narrow cells there is no room for lines.
  const gap = right - left > 6 ? 1 : 0;
  plot.ctx.fillStyle = color;
  plot.ctx.fillRect(Math.round(left), top + 1, Math.round(right) - Math.round(left) - gap, bottom - top - 2);
}

/** The colour of a share of the fullest cell; the root makes small shares visible. */
function colorOf(share: number): string {
  return SCHEME[Math.min(SCHEME.length - 1, Math.floor(Math.sqrt(share) * SCHEME.length))];
}
