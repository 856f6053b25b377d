// Tables, by Grafana's component, with the order that the dashboard asks for.

import { useTheme2 } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';

import { configured, sourceOf } from '../fields';
import type { PanelProps } from './props';

const DEFAULTS = { align: 'auto', cellOptions: { type: 'auto' }, inspect: false, minWidth: 50 };

export function TablePanel({ panel, data, range, width, height }: PanelProps) {
  const theme = useTheme2();
  const options = panel.options ?? {};
  const [frame] = configured(panel, data.frames, theme, DEFAULTS);
  return (
    <TableNG
      data={frame}
      width={width}
      height={height}
      sortBy={options.sortBy}
      noHeader={options.showHeader === false}
      cellHeight={options.cellHeight}
      frozenColumns={options.frozenColumns?.left}
      timeRange={range}
      fieldConfig={sourceOf(panel, DEFAULTS)}
      enableVirtualization={false}
      structureRev={1}
    />
  );
}
