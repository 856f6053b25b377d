{{/*
The sidecar, for the pods of charts that depend on this one. All take the root context of such a chart:

  spec:
    securityContext: {{- include "rlb.sidecar.podSecurityContext" . | nindent 8 }}
    initContainers: {{- include "rlb.sidecar.container" . | nindent 8 }}
    containers:
      - name: app
        volumeMounts: {{- include "rlb.sidecar.volumeMount" . | nindent 12 }}
    volumes: {{- include "rlb.sidecar.volumes" . | nindent 8 }}
*/}}
{{- define "rlb.sidecar.container" -}}
{{- $ := eq "own" (include "rlb.context" .) | ternary . (.Subcharts).rlb }}
{{- $sidecar := $.Values.sidecar }}
- name: {{ $sidecar.name | quote }}
  image: {{ include "rlb.image" $ }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  {{- if $sidecar.native }}
  # A native sidecar: starts before the app's containers, and stops after them.
  restartPolicy: Always
  {{- end }}
  command: [rlb]
  args: [run]
  env:
    {{- include "rlb.env" (dict "context" $ "role" "sidecar") | nindent 4 }}
    {{- with $sidecar.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with include "rlb.ports" $ }}
  ports:
    {{- . | nindent 4 }}
  {{- end }}
  startupProbe:
    {{- include "rlb.probe.exec" (dict "question" "live" "timing" $sidecar.startupProbe) | nindent 4 }}
  {{- if $.Values.metrics.port }}
  readinessProbe:
    {{- include "rlb.probe.http" (dict "path" ($sidecar.readinessProbe.redis | ternary "/readyz?redis=1" "/readyz") "timing" $sidecar.readinessProbe) | nindent 4 }}
  livenessProbe:
    {{- include "rlb.probe.http" (dict "path" "/livez" "timing" $sidecar.livenessProbe) | nindent 4 }}
  {{- else }}
  readinessProbe:
    {{- include "rlb.probe.exec" (dict "question" "ready" "timing" $sidecar.readinessProbe) | nindent 4 }}
  livenessProbe:
    {{- include "rlb.probe.exec" (dict "question" "live" "timing" $sidecar.livenessProbe) | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml $sidecar.resources | nindent 4 }}
  securityContext:
    {{- include "rlb.securityContext" $ | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    - name: rlb-socket
      mountPath: {{ dir $sidecar.socketPath }}
    {{- include "rlb.configMounts" $ | nindent 4 }}
{{- end }}

{{/* The pod's volumes: the socket's folder in memory, the settings, and the secrets of Redis as files. */}}
{{- define "rlb.sidecar.volumes" -}}
{{- $ := eq "own" (include "rlb.context" .) | ternary . (.Subcharts).rlb }}
- name: rlb-socket
  emptyDir:
    medium: Memory
    sizeLimit: {{ $.Values.sidecar.socketVolumeSize }}
{{ include "rlb.configVolumes" (dict "context" $ "role" "sidecar") }}
{{- end }}

{{/*
For a container of the app that talks to the sidecar. Read-only does not keep it from connecting, only from putting a socket
of its own in the place of ours.
*/}}
{{- define "rlb.sidecar.volumeMount" -}}
{{- $ := eq "own" (include "rlb.context" .) | ternary . (.Subcharts).rlb }}
- name: rlb-socket
  mountPath: {{ dir $.Values.sidecar.socketPath }}
  readOnly: true
{{- end }}

{{/* For the pod's template: by these a PodMonitor finds the sidecars. */}}
{{- define "rlb.sidecar.podLabels" -}}
{{- $ := eq "own" (include "rlb.context" .) | ternary . (.Subcharts).rlb }}
{{- include "rlb.sidecar.selectorLabels" $ }}
{{- end }}

{{/* For the pod's template: new settings roll the pods, as a sidecar reads them at its start. */}}
{{- define "rlb.sidecar.podAnnotations" -}}
{{- $ := eq "own" (include "rlb.context" .) | ternary . (.Subcharts).rlb -}}
redis-llm-bridge/checksum-config: {{ include "rlb.settings" (dict "context" $ "role" "sidecar") | sha256sum }}
{{- end }}

{{/* For the pod: the group of the socket's folder, which makes every container of the pod a member. */}}
{{- define "rlb.sidecar.podSecurityContext" -}}
{{- $ := eq "own" (include "rlb.context" .) | ternary . (.Subcharts).rlb }}
{{- include "rlb.fsGroup" $ }}
{{- end }}
