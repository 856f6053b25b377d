// The page: a whole dashboard, as `?uid=…` asks for, with `&until=…` up to an event of the scene. It says so in `data-done` when all is drawn.

import 'uplot/dist/uPlot.min.css';

import { createTheme, ThemeContext, type TimeRange } from '@grafana/data';
import type { Dashboard, Panel, RowPanel } from './model';
import { GlobalStyles, Icon, useTheme2 } from '@grafana/ui';
import { createRoot } from 'react-dom/client';

import { dataOf, type Mark, marksOf, type PanelData, rangeOf } from './data';
import { boxOf, heightOf, isRow, opened, WIDTH } from './layout';
import { FramedPanel, isEmpty } from './panels';
import { upTo } from './scene';
import { shownValue, substitute, type Variables, variablesOf } from './variables';

const HEADER = 84;
const SETTLED_MS = 700;

interface Loaded {
  dashboard: Dashboard;
  panels: Array<Panel | RowPanel>;
  data: Map<Panel | RowPanel, PanelData>;
  marks: Mark[];
  range: TimeRange;
}

async function load(uid: string, until: string | null): Promise<Loaded> {
  const json = async (path: string) => (await fetch(path)).json();
  const dashboard: Dashboard = await json(`/dashboards/${uid}.json`);
  const scene = upTo(until, await json('/scene.json'));
  const variables = variablesOf(dashboard);
  const panels = opened(dashboard).map((panel) => named(panel, variables));
  const shown = panels.filter((panel): panel is Panel => !isRow(panel));
  const data = new Map(
    await Promise.all(
      shown.map(async (panel) => [panel, await dataOf(panel, boxOf(panel).width, scene, variables)] as const)
    )
  );
  const marks = await marksOf(dashboard.annotations?.list ?? [], scene, variables);
  return { dashboard, panels, data, marks, range: rangeOf(scene) };
}

/** The panel with the variables' values in what people read of it; its queries know more variables. */
function named<T extends Panel | RowPanel>(panel: T, variables: Variables): T {
  const { targets, panels, ...read } = panel as Panel & RowPanel;
  return { ...JSON.parse(substitute(JSON.stringify(read), variables)), targets, panels };
}

function Page({ dashboard, panels, data, marks, range }: Loaded) {
  return (
    <div style={{ position: 'relative', width: WIDTH, height: HEADER + heightOf(panels) }}>
      <Header dashboard={dashboard} range={range} />
      <div style={{ position: 'absolute', top: HEADER, left: 0 }}>
        {panels.map((panel, index) =>
          isRow(panel) ? (
            <Row key={index} row={panel} title={panel.title ?? ''} />
          ) : (
            <FramedPanel
              key={index}
              panel={panel}
              data={data.get(panel)!}
              box={boxOf(panel)}
              {...{ range, marks }}
            />
          )
        )}
      </div>
    </div>
  );
}

function Header({ dashboard, range }: Pick<Loaded, 'dashboard' | 'range'>) {
  const theme = useTheme2();
  const box = {
    border: `1px solid ${theme.colors.border.medium}`,
    borderRadius: 2,
    padding: '3px 8px',
    background: theme.colors.background.primary,
  };
  const variables = (dashboard.templating?.list ?? []).filter((variable) => (variable.hide ?? 0) !== 2);
  return (
    <header style={{ padding: '10px 16px', color: theme.colors.text.primary }}>
      <div style={{ display: 'flex', justifyContent: 'space-between', marginBottom: 8 }}>
        <span style={theme.typography.h4}>{dashboard.title}</span>
        <span style={box}>
          {range.from.utc().format('HH:mm')} to {range.to.utc().format('HH:mm')} UTC
        </span>
      </div>
      <div style={{ display: 'flex', gap: 10, ...theme.typography.bodySmall }}>
        {variables.map((variable) => (
          <span key={variable.name} style={{ ...box, whiteSpace: 'nowrap' }}>
            <span style={{ color: theme.colors.text.secondary }}>{variable.label ?? variable.name}&ensp;</span>
            {shownValue(variable)}
          </span>
        ))}
      </div>
    </header>
  );
}

function Row({ row, title }: { row: RowPanel; title: string }) {
  const theme = useTheme2();
  return (
    <div data-row style={{ position: 'absolute', ...boxOf(row), ...theme.typography.h6, color: theme.colors.text.primary }}>
      <Icon name="angle-down" /> {title}
    </div>
  );
}

/** What a person would have to look for: panels without data and those that failed. */
function complaints({ panels, data }: Loaded): string[] {
  return [...data].flatMap(([panel, found]) => {
    const name = `${panels.indexOf(panel)} "${panel.title}"`;
    const what = found.error ?? (isEmpty({ panel: panel as Panel, data: found }) ? 'no data' : undefined);
    return what ? [`${name}: ${what}`] : [];
  });
}

async function main(): Promise<void> {
  const asked = new URLSearchParams(location.search);
  const loaded = await load(asked.get('uid')!, asked.get('until'));
  const theme = createTheme({ colors: { mode: 'dark' } });
  document.body.style.cssText = `margin: 0; background: ${theme.colors.background.canvas}`;
  createRoot(document.getElementById('root')!).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <Page {...loaded} />
    </ThemeContext.Provider>
  );
  document.body.dataset.complaints = JSON.stringify(complaints(loaded));
  // Legends and tables measure themselves and draw again.
  setTimeout(() => (document.body.dataset.done = 'yes'), SETTLED_MS);
}

void main();
