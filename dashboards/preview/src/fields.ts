// Field options and transformations, by Grafana's own code; only the registries that its server fills are ours.

import {
  applyFieldOverrides,
  cacheFieldDisplayNames,
  type DataFrame,
  type DataTransformerConfig,
  FieldConfigOptionsRegistry,
  type FieldConfigPropertyItem,
  type FieldConfigSource,
  FieldType,
  type GrafanaTheme2,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import type { Panel } from './model';
import { lastValueFrom } from 'rxjs';

// One of them is listed under its older name too.
standardTransformersRegistry.setInit(() =>
  [...new Set(Object.values(standardTransformers))].map((transformation) => ({
    id: transformation.id,
    name: transformation.id,
    editor: () => null,
    transformation: async () => transformation as never,
    imageDark: '',
    imageLight: '',
  }))
);

/** The frames after the panel's transformations. */
export async function transformed(panel: Panel, frames: DataFrame[]): Promise<DataFrame[]> {
  const unknown = (panel.transformations ?? []).filter(({ id }) => !standardTransformersRegistry.getIfExists(id));
  if (unknown.length) {
    throw new Error(`unknown transformation: ${unknown.map(({ id }) => id).join(', ')}`);
  }
  return lastValueFrom(transformDataFrame((panel.transformations ?? []) as DataTransformerConfig[], frames));
}

/** The frames with units, colours, thresholds and all that the panel says of its fields. */
export function configured(
  panel: Panel,
  frames: DataFrame[],
  theme: GrafanaTheme2,
  customDefaults: Record<string, unknown> = {}
): DataFrame[] {
  const fieldConfig = sourceOf(panel, customDefaults);
  const applied = applyFieldOverrides({
    data: frames,
    fieldConfig,
    fieldConfigRegistry: registryFor(fieldConfig),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(applied);
  return applied;
}

/** The panel's field options, with what Grafana takes where the dashboard is silent. */
export function sourceOf(panel: Panel, customDefaults: Record<string, unknown> = {}): FieldConfigSource {
  const given = structuredClone(panel.fieldConfig ?? { defaults: {}, overrides: [] }) as FieldConfigSource;
  const defaults = { color: { mode: 'palette-classic' }, ...given.defaults } as FieldConfigSource['defaults'];
  defaults.custom = { ...customDefaults, ...given.defaults?.custom };
  // JSON has no infinity: the first step is null in it.
  for (const step of defaults.thresholds?.steps ?? []) {
    step.value ??= -Infinity;
  }
  return { defaults, overrides: given.overrides ?? [] };
}

/** Knows the options that the panel uses: what a plugin of Grafana registers, read from the dashboard. */
function registryFor(source: FieldConfigSource): FieldConfigOptionsRegistry {
  const { custom, ...standard } = source.defaults;
  const ids = new Set([
    ...Object.keys(standard),
    ...Object.keys(custom ?? {}).map((name) => `custom.${name}`),
    ...source.overrides.flatMap(({ properties }) => properties.map(({ id }) => id)),
  ]);
  return new FieldConfigOptionsRegistry(() => [...ids].map(optionOf));
}

const OF_NUMBERS = new Set(['color', 'thresholds', 'min', 'max', 'unit', 'decimals']);

function optionOf(id: string): FieldConfigPropertyItem {
  const isCustom = id.startsWith('custom.');
  return {
    id,
    path: isCustom ? id.slice('custom.'.length) : id,
    name: id,
    isCustom,
    editor: () => null,
    override: () => null,
    process: (value) => value,
    shouldApply: (field) => !OF_NUMBERS.has(id) || field.type === FieldType.number,
  };
}
