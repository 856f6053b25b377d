{{/* What the containers of both roles have in common. Each takes a dict of context and role. */}}

{{/* Pod Security "restricted", and no file of the image can be written to; rlb needs no place to write but its socket's. */}}
{{- define "rlb.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- with .Values.securityContext.runAsUser }}
runAsUser: {{ int . }}
{{- end }}
{{- with .Values.securityContext.runAsGroup }}
runAsGroup: {{ int . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The group that volumes belong to. Nothing where the platform chooses one; it then does so for the pod. */}}
{{- define "rlb.fsGroup" -}}
{{- with .Values.securityContext.runAsGroup -}}
fsGroup: {{ int . }}
fsGroupChangePolicy: OnRootMismatch
{{- else -}}
{}
{{- end }}
{{- end }}

{{/* Secrets are files, never variables: those are inherited, listed and dumped. */}}
{{- define "rlb.env" -}}
{{- $values := .context.Values }}
- name: RLB_CONFIG
  value: /etc/rlb/config/rlb.yaml
{{- if eq .role "sidecar" }}
# Also for `rlb` on the command line of this container, probes among them.
- name: RLB_SOCKET__PATH
  value: {{ $values.sidecar.socketPath }}
{{- end }}
- name: K8S_NAMESPACE_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: K8S_POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: K8S_POD_UID
  valueFrom:
    fieldRef:
      fieldPath: metadata.uid
- name: K8S_NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- with $values.otel }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "rlb.resourceAttributes" $ | quote }}
{{- with .serviceName }}
- name: OTEL_SERVICE_NAME
  value: {{ . | quote }}
{{- end }}
{{- with .endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_EXPORTER_OTLP_PROTOCOL
  value: {{ $values.otel.protocol }}
{{- end }}
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Percent-encoded, as the specification asks for; $(NAME) is the kubelet's to fill in. */}}
{{- define "rlb.resourceAttributes" -}}
{{- $container := eq .role "sidecar" | ternary .context.Values.sidecar.name "observer" -}}
k8s.namespace.name=$(K8S_NAMESPACE_NAME),k8s.pod.name=$(K8S_POD_NAME),k8s.pod.uid=$(K8S_POD_UID),k8s.node.name=$(K8S_NODE_NAME),k8s.container.name={{ $container }}
{{- range $name, $value := .context.Values.otel.resourceAttributes }},{{ $name }}={{ $value | urlquery | replace "+" "%20" }}{{ end }}
{{- end }}

{{- define "rlb.ports" -}}
{{- if .Values.metrics.port }}
- name: rlb-metrics
  containerPort: {{ int .Values.metrics.port }}
  protocol: TCP
{{- end }}
{{- end }}

{{- define "rlb.configMounts" -}}
- name: rlb-config
  mountPath: /etc/rlb/config
  readOnly: true
{{- with .Values.redis }}
{{- if .auth.existingSecret }}
- name: rlb-redis-auth
  mountPath: /etc/rlb/redis
  readOnly: true
{{- end }}
{{- if .tls.existingSecret }}
- name: rlb-redis-tls
  mountPath: /etc/rlb/tls
  readOnly: true
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "rlb.configVolumes" -}}
- name: rlb-config
  configMap:
    name: {{ include "rlb.configMapName" . | quote }}
    items:
      - key: rlb.yaml
        path: rlb.yaml
{{- with .context.Values.redis }}
{{- if .auth.existingSecret }}
- name: rlb-redis-auth
  secret:
    secretName: {{ .auth.existingSecret | quote }}
    # The group's, which the container is in by fsGroup; not everybody's.
    defaultMode: 0440
    items:
      - key: {{ .auth.passwordKey | quote }}
        path: password
{{- end }}
{{- if .tls.existingSecret }}
- name: rlb-redis-tls
  secret:
    secretName: {{ .tls.existingSecret | quote }}
    defaultMode: 0440
    items:
      {{- with .tls.caKey }}
      - key: {{ . | quote }}
        path: ca.crt
      {{- end }}
      {{- if .tls.certKey }}
      - key: {{ .tls.certKey | quote }}
        path: tls.crt
      - key: {{ .tls.keyKey | quote }}
        path: tls.key
      {{- end }}
{{- end }}
{{- end }}
{{- with .context.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Probes. The socket's own answer costs a process a time, so only the start is asked for there; readiness and liveness are
asked for at the port, which opens after the socket and closes after it. None asks Redis: an outage there would restart
the sidecars, or take every pod out of service.
*/}}
{{- define "rlb.probe.http" -}}
httpGet:
  path: {{ .path }}
  port: rlb-metrics
{{- omit .timing "redis" | toYaml | nindent 0 }}
{{- end }}

{{- define "rlb.probe.exec" -}}
exec:
  command: [rlb, health, {{ .question }}]
{{- omit .timing "redis" | toYaml | nindent 0 }}
{{- end }}
