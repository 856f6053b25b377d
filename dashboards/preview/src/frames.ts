// Answers of Prometheus as data frames, in the shapes that Grafana's data source gives to panels.

import { type DataFrame, type Field, FieldType } from '@grafana/data';

import type { Series } from './prometheus';

/** A frame for each series: a time and a value field. */
export function seriesFrames(series: Series[], refId: string, legend: string | undefined, stepMs: number): DataFrame[] {
  return series.map((each) => {
    const points = withGaps(each.values ?? (each.value ? [each.value] : []), stepMs / 1000);
    const name = legendOf(each.metric, legend);
    const time: Field = {
      name: 'Time',
      type: FieldType.time,
      config: { interval: stepMs },
      values: points.map(([seconds]) => seconds * 1000),
    };
    const { __name__, ...labels } = each.metric;
    const value: Field = {
      name: 'Value',
      type: FieldType.number,
      labels,
      config: { displayNameFromDS: name },
      values: points.map(([, text]) => numberOf(text)),
    };
    return { refId, name, fields: [time, value], length: points.length, meta: { type: 'timeseries-multi' as never } };
  });
}

/** The points with one that has no number where steps are missing, as lines are not to cross what is unknown. */
function withGaps(points: Array<[number, string]>, step: number): Array<[number, string]> {
  return points.flatMap((point, index) => {
    const before = points[index - 1]?.[0] ?? point[0];
    return point[0] - before > 1.5 * step ? [[before + step, 'NaN'] as [number, string], point] : [point];
  });
}

/** One frame with a column for the time, each label and the value; one without columns if there is no series. */
export function tableFrame(series: Series[], refId: string, isOnlyTarget: boolean): DataFrame {
  if (!series.length) {
    return { refId, fields: [], length: 0 };
  }
  const rows = series.flatMap((each) =>
    (each.values ?? (each.value ? [each.value] : [])).map((point) => ({ metric: each.metric, point }))
  );
  const labels = [...new Set(series.flatMap((each) => Object.keys(each.metric)))].sort();
  const fields: Field[] = [
    { name: 'Time', type: FieldType.time, config: {}, values: rows.map(({ point }) => point[0] * 1000) },
    ...labels.map((label) => ({
      name: label,
      type: FieldType.string,
      config: { filterable: true },
      values: rows.map(({ metric }) => metric[label] ?? ''),
    })),
    {
      name: isOnlyTarget ? 'Value' : `Value #${refId}`,
      type: FieldType.number,
      config: {},
      values: rows.map(({ point }) => numberOf(point[1])),
    },
  ];
  return { refId, fields, length: rows.length };
}

/** Cumulative buckets made into the counts of each, in the order of their bounds. */
export function heatmapFrames(frames: DataFrame[]): DataFrame[] {
  const bound = (frame: DataFrame) => Number((frame.fields[1].labels?.le ?? '').replace('+Inf', 'Infinity'));
  const sorted = frames.filter((frame) => !Number.isNaN(bound(frame))).sort((a, b) => bound(a) - bound(b));
  return sorted.map((frame, index) => {
    if (index === 0) {
      return frame;
    }
    const below = new Map(
      sorted[index - 1].fields[0].values.map((time, at) => [time, sorted[index - 1].fields[1].values[at]])
    );
    const [time, value] = frame.fields;
    const values = value.values.map((upTo, at) =>
      upTo === null ? null : Math.max(0, upTo - (below.get(time.values[at]) ?? 0))
    );
    return { ...frame, fields: [time, { ...value, values }] };
  });
}

function numberOf(text: string): number | null {
  const value = Number(text.replace('+Inf', 'Infinity').replace('-Inf', '-Infinity'));
  return Number.isNaN(value) ? null : value;
}

function legendOf(labels: Record<string, string>, legend: string | undefined): string {
  if (legend && legend !== '__auto') {
    return legend.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, label) => labels[label] ?? '');
  }
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest);
  if (legend === '__auto' && pairs.length === 1) {
    return pairs[0][1];
  }
  return name + (pairs.length ? `{${pairs.map(([label, value]) => `${label}="${value}"`).join(', ')}}` : '') || 'Value';
}
