// The parts of a dashboard's JSON that are looked at here.

import type { Dashboard, Panel as SchemaPanel, RowPanel } from '@grafana/schema';

/** A panel; what its options are depends on its type. */
export type Panel = Omit<SchemaPanel, 'options'> & { options?: Record<string, any> };

export type { Dashboard, RowPanel };
