// A panel: Grafana's frame around what its type shows.

import { PanelChrome, useTheme2 } from '@grafana/ui';
import type { ComponentType } from 'react';

import type { Box } from '../layout';
import { HeatmapPanel } from './heatmap';
import type { PanelProps } from './props';
import { StatPanel } from './stat';
import { TablePanel } from './table';
import { TextPanel } from './text';
import { hasNumbers, TimeSeriesPanel } from './timeseries';

const KINDS: Record<string, ComponentType<PanelProps>> = {
  timeseries: TimeSeriesPanel,
  stat: StatPanel,
  table: TablePanel,
  text: TextPanel,
  heatmap: HeatmapPanel,
};

type Props = Omit<PanelProps, 'width' | 'height'> & { box: Box };

export function FramedPanel({ box, ...props }: Props) {
  const { panel } = props;
  return (
    <div style={{ position: 'absolute', ...box }}>
      <PanelChrome
        title={panel.title ?? ''}
        description={panel.description}
        displayMode={panel.transparent ? 'transparent' : 'default'}
        padding={panel.type === 'table' ? 'none' : 'md'}
        width={box.width}
        height={box.height}
      >
        {(width, height) => <Inside {...props} width={width} height={height} />}
      </PanelChrome>
    </div>
  );
}

function Inside(props: PanelProps) {
  const { panel, data } = props;
  const Kind = KINDS[panel.type];
  if (!Kind) {
    return <Remark {...props} text={`${panel.type}: not drawn here`} />;
  }
  if (data.error) {
    return <Remark {...props} text={data.error} isBad />;
  }
  if (isEmpty(props)) {
    return <Remark {...props} text={panel.fieldConfig?.defaults?.noValue ?? 'No data'} />;
  }
  return <Kind {...props} />;
}

/** Whether a panel that lives of data has none; a stat panel shows its own "no value". */
export function isEmpty({ panel, data }: Pick<PanelProps, 'panel' | 'data'>): boolean {
  if (panel.type === 'text' || !KINDS[panel.type]) {
    return false;
  }
  return panel.type === 'table' ? !data.frames.some((frame) => frame.length) : !hasNumbers(data.frames);
}

function Remark({ text, isBad, height }: PanelProps & { text: string; isBad?: boolean }) {
  const theme = useTheme2();
  const color = isBad ? theme.colors.error.text : theme.colors.text.secondary;
  return <div style={{ height, color, display: 'grid', placeContent: 'center', textAlign: 'center' }}>{text}</div>;
}
