// Variables of a dashboard, as Grafana would put them into queries and titles when nothing was chosen yet.

import type { Dashboard, VariableModel } from '@grafana/schema';

export type Variables = Map<string, string>;

/** Values by name: "All" is the variable's allValue, of other variables the current or the first option. */
export function variablesOf(dashboard: Dashboard): Variables {
  const found: Variables = new Map();
  for (const variable of dashboard.templating?.list ?? []) {
    found.set(variable.name, valueOf(variable));
  }
  return found;
}

/** What the bar above a dashboard shows of a variable. */
export function shownValue(variable: VariableModel): string {
  if (variable.type === 'datasource') {
    return 'Prometheus';
  }
  return variable.includeAll ? 'All' : valueOf(variable);
}

function valueOf(variable: VariableModel): string {
  if (variable.includeAll) {
    return variable.allValue ?? '.*';
  }
  const current = variable.current?.value ?? variable.options?.[0]?.value;
  if (current !== undefined && current !== '') {
    return String(Array.isArray(current) ? current.join('|') : current);
  }
  return typeof variable.query === 'string' ? variable.query.split(',')[0].trim() : '';
}

/** The text with `$name`, `${name}`, `${name:format}` and `[[name]]` replaced; what is unknown stays. */
export function substitute(text: string, ...scopes: Variables[]): string {
  const pattern = /\$\{(\w+)(?::[\w:]+)?\}|\$(\w+)|\[\[(\w+)\]\]/g;
  return text.replace(pattern, (whole, braced, plain, bracketed) => {
    const name: string = braced ?? plain ?? bracketed;
    return scopes.find((scope) => scope.has(name))?.get(name) ?? whole;
  });
}
