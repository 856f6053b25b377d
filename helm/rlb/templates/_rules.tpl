{{/*
A file of rules with its placeholders filled in: thresholds by their names, and the addresses of Grafana and of runbooks.
The file is plain text here, so that Prometheus' own braces stay as they are.
*/}}
{{- define "rlb.rules" -}}
{{- $rules := .context.Values.prometheusRule }}
{{- $text := .context.Files.Get (printf "files/rules/%s.yaml" .file) }}
{{- range $name, $value := $rules.thresholds }}
{{- $text = $text | replace (printf "%%%%%s%%%%" $name) (kindIs "string" $value | ternary $value (include "rlb.number" $value)) }}
{{- end }}
{{- $grafana := $rules.grafanaUrl | trimSuffix "/" }}
{{- $text = $text | replace "%%grafanaUrl%%" $grafana }}
{{- if $rules.runbookUrlPrefix }}
{{- $prefix := $rules.runbookUrlPrefix | trimSuffix "/" | replace "$" "$$" }}
{{- $text = regexReplaceAll "%%runbookUrl:(\\w+):(\\d+)%%" $text (printf "%s/${1}.md" $prefix) }}
{{- else }}
{{- $text = regexReplaceAll "%%runbookUrl:(\\w+):(\\d+)%%" $text (printf "%s/d/rlb-runbooks?viewPanel=${2}" ($grafana | replace "$" "$$")) }}
{{- end }}
{{- $groups := list }}
{{- range $group := ($text | fromYaml).groups }}
{{- $kept := list }}
{{- range $rule := $group.rules }}
{{- if not (has ($rule.alert | default "") $rules.disabled) }}
{{- if $rule.alert }}
{{- $_ := set $rule "labels" (mergeOverwrite (deepCopy ($rule.labels | default dict)) $rules.alertLabels) }}
{{- end }}
{{- $kept = append $kept $rule }}
{{- end }}
{{- end }}
{{- if $kept }}
{{- $groups = append $groups (set $group "rules" $kept) }}
{{- end }}
{{- end }}
{{- toYaml $groups }}
{{- end }}

{{/* A number as it is written by hand: 10, 0.8 or 1000000, not 1e+06. */}}
{{- define "rlb.number" -}}
{{- if eq (float64 .) (float64 (int64 .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}
