import type { TimeRange } from '@grafana/data';

import type { Mark, PanelData } from '../data';
import type { Panel } from '../model';

export interface PanelProps {
  panel: Panel;
  data: PanelData;
  range: TimeRange;
  marks: Mark[];
  width: number;
  height: number;
}
