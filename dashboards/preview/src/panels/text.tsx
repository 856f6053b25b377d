// Text panels: Grafana's own Markdown, in the styles of its pages.

import { renderTextPanelMarkdown } from '@grafana/data';

import type { PanelProps } from './props';

export function TextPanel({ panel, height }: PanelProps) {
  const text = String(panel.options?.content ?? '');
  const html = panel.options?.mode === 'html' ? text : renderTextPanelMarkdown(text);
  return (
    <div className="markdown-html" style={{ height, overflow: 'hidden' }} dangerouslySetInnerHTML={{ __html: html }} />
  );
}
