// Stat panels, by Grafana's component.

import {
  type FieldDisplay,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  type ReduceDataOptions,
  VizOrientation,
} from '@grafana/data';
import { BigValue, BigValueColorMode, BigValueGraphMode, useTheme2, VizRepeater } from '@grafana/ui';

import { configured, sourceOf } from '../fields';
import type { PanelProps } from './props';

const PLAIN = { thresholds: { mode: 'absolute', steps: [{ value: -Infinity, color: 'green' }] } };

function useValues({ panel, data }: PanelProps, sparkline: boolean): FieldDisplay[] {
  const theme = useTheme2();
  const reduceOptions: ReduceDataOptions = { calcs: ['lastNotNull'], ...panel.options?.reduceOptions };
  const asked = { ...panel, fieldConfig: withDefaults(panel.fieldConfig) } as typeof panel;
  return getFieldDisplayValues({
    data: configured(asked, data.frames, theme),
    fieldConfig: sourceOf(asked),
    reduceOptions,
    replaceVariables: (text) => text,
    sparkline,
    theme,
    timeZone: 'utc',
  });
}

/** They colour by thresholds unless they are told otherwise. */
function withDefaults(given: PanelProps['panel']['fieldConfig']) {
  return { ...given, defaults: { color: { mode: 'thresholds' }, ...PLAIN, ...given?.defaults } };
}

export function StatPanel(props: PanelProps) {
  const { panel, data, width, height } = props;
  const theme = useTheme2();
  const options = panel.options ?? {};
  const graph = options.graphMode ?? BigValueGraphMode.Area;
  const values = useValues(props, graph !== BigValueGraphMode.None);
  return (
    <VizRepeater
      source={data}
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderCounter={0}
      width={width}
      height={height}
      autoGrid
      orientation={options.orientation ?? VizOrientation.Auto}
      renderValue={({ value, alignmentFactors, width, height }) => (
        <BigValue
          value={value.display}
          count={values.length}
          sparkline={value.sparkline}
          colorMode={options.colorMode ?? BigValueColorMode.Value}
          graphMode={graph}
          justifyMode={options.justifyMode}
          textMode={options.textMode}
          alignmentFactors={alignmentFactors}
          text={options.text}
          disableWideLayout={!(options.wideLayout ?? true)}
          width={width}
          height={height}
          theme={theme}
        />
      )}
    />
  );
}
