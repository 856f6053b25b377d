{{/*
The chart's own context. Named templates are called from this chart and from charts that depend on it; there, `.` is the
parent's context, and ours is among its subcharts. Under an alias it is passed as `.Subcharts.<alias>`.
*/}}
{{- define "rlb.context" -}}
{{- if hasKey (.Subcharts | default dict) "rlb" }}subchart
{{- else if and (hasKey .Values "sidecar") (hasKey .Values "observer") (hasKey .Values "redis") }}own
{{- else }}{{ fail "rlb: no dependency is named rlb here; under an alias, pass .Subcharts.<alias> to the templates" }}
{{- end }}
{{- end }}

{{/* The name that all objects begin with: the release's, and the chart's unless the release's has it. */}}
{{- define "rlb.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- $full | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "rlb.labels" -}}
{{ include "rlb.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What never changes in the life of a release, as selectors may not. */}}
{{- define "rlb.selectorLabels" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "rlb.observer.selectorLabels" -}}
{{ include "rlb.selectorLabels" . }}
app.kubernetes.io/component: observer
{{- end }}

{{/* By which a PodMonitor finds the pods with a sidecar. */}}
{{- define "rlb.sidecar.selectorLabels" -}}
redis-llm-bridge/sidecar: "true"
redis-llm-bridge/release: {{ include "rlb.fullname" . | quote }}
{{- end }}

{{/* The metadata of an object of ours. Takes a dict of context, name and, if there are more, labels and annotations. */}}
{{- define "rlb.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .namespace | default .context.Release.Namespace | quote }}
labels:
  {{- $common := include "rlb.labels" .context | fromYaml }}
  {{- merge (.labels | default dict | deepCopy) $common .context.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge (.annotations | default dict | deepCopy) .context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "rlb.image" -}}
{{- with .Values.image }}
{{- $name := empty .registry | ternary .repository (printf "%s/%s" (.registry | trimSuffix "/") .repository) }}
{{- if .digest }}{{ printf "%s@%s" $name .digest }}
{{- else }}{{ printf "%s:%s" $name (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "rlb.serviceAccountName" -}}
{{- if .Values.observer.serviceAccount.create }}
{{- .Values.observer.serviceAccount.name | default (printf "%s-observer" (include "rlb.fullname" .)) }}
{{- else }}
{{- .Values.observer.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* Whether an object of an operator is to be made: `enabled` is true, false, or "auto" for where its API is served. */}}
{{- define "rlb.isWanted" -}}
{{- if or (eq (toString .enabled) "true") (and (eq (toString .enabled) "auto") (.context.Capabilities.APIVersions.Has .api)) }}true{{ end }}
{{- end }}
