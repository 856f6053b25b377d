{{/*
The settings file of a role, "sidecar" or "observer": what the chart decides, over the role's own `config`, over the
shared one. The chart decides what has to agree with its volumes, ports and probes.
*/}}
{{- define "rlb.settings" -}}
{{- $values := .context.Values }}
{{- $own := dict "redis" (include "rlb.settings.redis" .context | fromYaml) }}
{{- $_ := set $own "metrics" (dict "host" $values.metrics.host "port" (int $values.metrics.port)) }}
{{- if eq .role "sidecar" }}
{{- $_ := set $own "socket" (dict "path" $values.sidecar.socketPath "folder" "shared") }}
{{- end }}
{{- $role := get $values .role }}
{{- mergeOverwrite (deepCopy $values.config) (deepCopy $role.config) $own | toYaml }}
{{- end }}

{{- define "rlb.settings.redis" -}}
{{- with .Values.redis }}
{{- if not .url }}
{{- fail "rlb: redis.url is not set: the Redis of the streams, such as redis://redis:6379" }}
{{- end }}
url: {{ .url | quote }}
{{- with .username }}
username: {{ . | quote }}
{{- end }}
{{- if .auth.existingSecret }}
password_file: /etc/rlb/redis/password
{{- end }}
{{- if .tls.existingSecret }}
{{- with .tls.caKey }}
tls_ca_file: /etc/rlb/tls/ca.crt
{{- end }}
{{- if .tls.certKey }}
tls_cert_file: /etc/rlb/tls/tls.crt
tls_key_file: /etc/rlb/tls/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "rlb.configMapName" -}}
{{ include "rlb.fullname" .context }}-{{ .role }}
{{- end }}

{{/* The port in an address such as redis://host:6380/1, else the usual one; empty for a socket. */}}
{{- define "rlb.redisPort" -}}
{{- if not (hasPrefix "unix:" .Values.redis.url) }}
{{- regexFind ":\\d+$" (get (urlParse .Values.redis.url) "host") | trimPrefix ":" | default "6379" }}
{{- end }}
{{- end }}

{{/* Empty if nothing is sent. */}}
{{- define "rlb.otlpPort" -}}
{{- with .Values.otel.endpoint }}
{{- regexFind ":\\d+$" (get (urlParse .) "host") | trimPrefix ":" | default (hasPrefix "https:" . | ternary "443" "80") }}
{{- end }}
{{- end }}
