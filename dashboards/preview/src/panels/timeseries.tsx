// Time series, by Grafana's component; marks and exemplars are drawn over it here, as their plugins are not exported.

import { type DataFrame, FieldType, type TimeRange } from '@grafana/data';
import { type VizLegendOptions } from '@grafana/schema';
import { TimeSeries, useTheme2 } from '@grafana/ui';

import type { Mark } from '../data';
import { configured } from '../fields';
import type { Exemplar } from '../prometheus';
import type { PanelProps } from './props';

/** What Grafana's panel takes where the dashboard is silent. */
const DEFAULTS = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  fillOpacity: 0,
  gradientMode: 'none',
  barAlignment: 0,
  showPoints: 'auto',
  pointSize: 5,
  stacking: { mode: 'none', group: 'A' },
  axisPlacement: 'auto',
  axisLabel: '',
  axisColorMode: 'text',
  scaleDistribution: { type: 'linear' },
  thresholdsStyle: { mode: 'off' },
  spanNulls: false,
};

export function TimeSeriesPanel({ panel, data, range, marks, width, height }: PanelProps) {
  const theme = useTheme2();
  const frames = configured(panel, data.frames, theme, DEFAULTS);
  const legend = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [], ...panel.options?.legend };
  return (
    <TimeSeries
      frames={frames}
      structureRev={1}
      width={width}
      height={height}
      timeRange={range as TimeRange}
      timeZone="utc"
      legend={legend as VizLegendOptions}
      options={panel.options}
    >
      {(builder) => {
        builder.addHook('draw', (plot) => {
          const { ctx, bbox } = plot;
          ctx.save();
          ctx.beginPath();
          ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
          ctx.clip();
          const x = (ms: number) => plot.valToPos(ms, 'x', true);
          drawMarks(ctx, marks, x, bbox, theme.visualization.getColorByName);
          const scale = plot.series[1]?.scale;
          if (scale) {
            // One above the scale lies at its upper end, as in Grafana.
            const y = (value: number) => Math.max(bbox.top + 5, plot.valToPos(value, scale, true));
            drawExemplars(ctx, data.exemplars, x, y);
          }
          ctx.restore();
        });
        return null;
      }}
    </TimeSeries>
  );
}

/** Whether there is a number to draw. */
export function hasNumbers(frames: DataFrame[]): boolean {
  return frames.some((frame) =>
    frame.fields.some((field) => field.type === FieldType.number && field.values.some((value) => value !== null))
  );
}

type ToPixel = (value: number) => number;

function drawMarks(
  ctx: CanvasRenderingContext2D,
  marks: Mark[],
  x: ToPixel,
  box: { top: number; height: number },
  colorOf: (name: string) => string
): void {
  ctx.setLineDash([6, 5]);
  ctx.lineWidth = 2;
  for (const mark of marks) {
    ctx.strokeStyle = colorOf(mark.color);
    ctx.beginPath();
    ctx.moveTo(x(mark.time), box.top);
    ctx.lineTo(x(mark.time), box.top + box.height);
    ctx.stroke();
  }
  ctx.setLineDash([]);
}

function drawExemplars(ctx: CanvasRenderingContext2D, exemplars: Exemplar[], x: ToPixel, y: ToPixel): void {
  ctx.fillStyle = '#6E9FFF';
  ctx.strokeStyle = '#111217';
  for (const { timestamp, value } of exemplars) {
    ctx.save();
    ctx.translate(x(timestamp * 1000), y(Number(value)));
    ctx.rotate(Math.PI / 4);
    ctx.fillRect(-4, -4, 8, 8);
    ctx.strokeRect(-4, -4, 8, 8);
    ctx.restore();
  }
}
