// Queries of Prometheus' HTTP API, which the server of this tool passes on.

export interface Series {
  metric: Record<string, string>;
  /** Pairs of Unix seconds and a number as text. */
  values?: Array<[number, string]>;
  value?: [number, string];
}

/** Spans of time that have exemplars of their own. */
const EXEMPLARS_ACROSS = 60;

export interface Exemplar {
  labels: Record<string, string>;
  value: string;
  timestamp: number;
}

async function ask<T>(what: string, parameters: Record<string, string>): Promise<T> {
  const response = await fetch(`/api/v1/${what}`, { method: 'POST', body: new URLSearchParams(parameters) });
  const answer = await response.json();
  if (answer.status !== 'success') {
    throw new Error(`${answer.error} in ${parameters.query}`);
  }
  return answer.data;
}

export async function queryRange(query: string, from: number, to: number, step: number): Promise<Series[]> {
  // Grafana aligns to the step as well, so that neighbouring panels show the same moments.
  const start = Math.floor(from / step) * step;
  const end = Math.floor(to / step) * step;
  const data = await ask<{ result: Series[] }>('query_range', {
    query,
    start: String(start),
    end: String(end),
    step: String(step),
  });
  return data.result;
}

export async function queryInstant(query: string, time: number): Promise<Series[]> {
  const data = await ask<{ resultType: string; result: Series[] | [number, string] }>('query', {
    query,
    time: String(time),
  });
  if (data.resultType === 'scalar') {
    return [{ metric: {}, value: data.result as [number, string] }];
  }
  return data.result as Series[];
}

export async function queryExemplars(query: string, from: number, to: number): Promise<Exemplar[]> {
  const parameters = { query, start: String(from), end: String(to) };
  const series = await ask<Array<{ exemplars: Exemplar[] }>>('query_exemplars', parameters);
  return thinned(
    series.flatMap((each) => each.exemplars),
    (to - from) / EXEMPLARS_ACROSS
  );
}

/** As Grafana does: in each span of time the greatest, and those that lie far from what was kept before. */
function thinned(exemplars: Exemplar[], spanSeconds: number): Exemplar[] {
  const values = exemplars.map(({ value }) => Number(value));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
  const kept = new Map<number, Exemplar[]>();
  for (const exemplar of [...exemplars].sort((a, b) => Number(b.value) - Number(a.value))) {
    const span = Math.floor(exemplar.timestamp / spanSeconds);
    const before = kept.get(span) ?? [];
    const least = Number(before.at(-1)?.value ?? Infinity);
    if (least - Number(exemplar.value) > 2 * deviation) {
      kept.set(span, [...before, exemplar]);
    }
  }
  return [...kept.values()].flat();
}
