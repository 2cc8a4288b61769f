{{- define "calleridp.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "calleridp.labels" -}}
{{ include "calleridp.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* The port of config.listen. */ -}}
{{- define "calleridp.port" -}}
{{ .Values.config.listen | default ":8443" | splitList ":" | last }}
{{- end }}

{{- define "calleridp.engine" -}}
{{ dig "storage" "engine" "bolt" .Values.config }}
{{- end }}

{{- define "calleridp.check" -}}
{{- $bolt := eq (include "calleridp.engine" .) "bolt" }}
{{- if and $bolt (gt (int .Values.replicas) 1) }}
{{- fail "replicas: the store of the engine bolt is a file of one server; set replicas to 1, or config.storage.engine to postgres" }}
{{- end }}
{{- if and $bolt (not .Values.persistence.enabled) }}
{{- fail "persistence.enabled: without a volume, the engine bolt loses all users with the pod; set it to true, or config.storage.engine to postgres" }}
{{- end }}
{{- if and (not $bolt) .Values.persistence.enabled }}
{{- fail "persistence.enabled: with PostgreSQL, data_dir has nothing to keep, and pods cannot share a volume; set it to false" }}
{{- end }}
{{- end }}
