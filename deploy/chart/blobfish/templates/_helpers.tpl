{{- define "blobfish.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "blobfish.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "blobfish.labels" -}}
{{ include "blobfish.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "blobfish.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "blobfish.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "blobfish.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* A template cannot parse TOML, but it can find a port that does not occur anywhere in the configuration. */}}
{{- define "blobfish.checkPorts" -}}
{{- range $name, $port := .Values.ports -}}
{{- if and $port (not (contains (printf ":%v\"" $port) $.Values.config)) -}}
{{- fail (printf "ports.%s is %v, but config listens on no such port" $name $port) -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.ports.http .Values.ports.https) -}}
{{- fail "ports.http and ports.https are both 0: there would be nothing to connect to" -}}
{{- end -}}
{{- if and .Values.ports.https (not .Values.tls.existingSecret) -}}
{{- fail "ports.https needs tls.existingSecret" -}}
{{- end -}}
{{- if le (int .Values.terminationGracePeriodSeconds) (add .Values.drainSeconds 30 | int) -}}
{{- fail "terminationGracePeriodSeconds must be larger than drainSeconds + 30" -}}
{{- end -}}
{{- end -}}
