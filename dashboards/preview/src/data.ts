// What a panel shows: its queries run, transformed, and with the marks that lie over it.

import { type DataFrame, dateTime, rangeUtil, type TimeRange } from '@grafana/data';
import type { AnnotationQuery } from '@grafana/schema';

import { transformed } from './fields';
import { heatmapFrames, seriesFrames, tableFrame } from './frames';
import type { Panel } from './model';
import { type Exemplar, queryExemplars, queryInstant, queryRange } from './prometheus';
import type { Scene } from './scene';
import { substitute, type Variables } from './variables';

/** A Prometheus query of a panel or an annotation. */
interface Target {
  refId: string;
  expr?: string;
  legendFormat?: string;
  format?: string;
  instant?: boolean;
  range?: boolean;
  exemplar?: boolean;
  interval?: string;
  hide?: boolean;
}

export interface PanelData {
  frames: DataFrame[];
  exemplars: Exemplar[];
  error?: string;
}

/** A moment that all panels mark; Unix ms. */
export interface Mark {
  time: number;
  color: string;
}

/** The time that the panels show. */
export function rangeOf(scene: Scene): TimeRange {
  const from = dateTime(scene.from * 1000);
  const to = dateTime(scene.to * 1000);
  return { from, to, raw: { from, to } };
}

/** The interval that Grafana would take for a panel of this width, and the variables that follow from it. */
function intervals(scene: Scene, width: number, least: string | undefined): { step: number; variables: Variables } {
  const low = Math.max(scene.scrapeSeconds, least ? rangeUtil.intervalToSeconds(least) : 0);
  const { intervalMs } = rangeUtil.calculateInterval(rangeOf(scene), width, `${low}s`);
  const step = Math.max(1, Math.round(intervalMs / 1000));
  const range = Math.round(scene.to - scene.from);
  const rate = Math.max(step + scene.scrapeSeconds, 4 * scene.scrapeSeconds);
  return {
    step,
    variables: new Map([
      ['__interval', `${step}s`],
      ['__interval_ms', String(step * 1000)],
      ['__rate_interval', `${rate}s`],
      ['__range', `${range}s`],
      ['__range_s', String(range)],
      ['__range_ms', String(range * 1000)],
    ]),
  };
}

/** The data of a panel that is so many pixels wide. */
export async function dataOf(panel: Panel, width: number, scene: Scene, chosen: Variables): Promise<PanelData> {
  const targets = ((panel.targets ?? []) as unknown as Target[]).filter((target) => target.expr && !target.hide);
  try {
    const answers = await Promise.all(
      targets.map(async (target) => {
        const least = target.interval || panel.interval || undefined;
        const { step, variables } = intervals(scene, panel.maxDataPoints ?? width, least);
        const query = substitute(target.expr!, variables, chosen);
        const series = target.instant
          ? await queryInstant(query, scene.to)
          : await queryRange(query, scene.from, scene.to, step);
        const exemplars = target.exemplar ? await queryExemplars(query, scene.from, scene.to) : [];
        const named = { ...target, legendFormat: substitute(target.legendFormat ?? '', chosen) };
        return { frames: framesOf(series, named, targets.length === 1, step * 1000), exemplars };
      })
    );
    return {
      frames: await transformed(panel, answers.flatMap(({ frames }) => frames)),
      exemplars: answers.flatMap(({ exemplars }) => exemplars),
    };
  } catch (error) {
    return { frames: [], exemplars: [], error: String(error) };
  }
}

function framesOf(series: Parameters<typeof seriesFrames>[0], target: Target, isOnly: boolean, stepMs: number) {
  if (target.format === 'table') {
    return [tableFrame(series, target.refId, isOnly)];
  }
  const frames = seriesFrames(series, target.refId, target.legendFormat, stepMs);
  return target.format === 'heatmap' ? heatmapFrames(frames) : frames;
}

/** The moments at which the dashboard's annotations have begun. */
export async function marksOf(annotations: AnnotationQuery[], scene: Scene, chosen: Variables): Promise<Mark[]> {
  const found: Mark[] = [];
  for (const annotation of annotations) {
    const { expr, step } = annotation as unknown as { expr?: string; step?: string };
    if (!expr || annotation.enable === false) {
      continue;
    }
    const { variables } = intervals(scene, 600, step);
    const query = substitute(expr, variables, chosen);
    const series = await queryRange(query, scene.from, scene.to, scene.scrapeSeconds);
    for (const { values = [] } of series) {
      let before = -Infinity;
      for (const [time, value] of values) {
        if (time - before > 1.5 * scene.scrapeSeconds && Number(value) !== 0) {
          found.push({ time: time * 1000, color: annotation.iconColor ?? 'blue' });
        }
        before = time;
      }
    }
  }
  return found;
}
