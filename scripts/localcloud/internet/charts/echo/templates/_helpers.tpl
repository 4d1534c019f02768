{{- define "echo.fullname" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "echo.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "echo.hookImage" -}}
{{- $image := .Values.hook.image -}}
{{- printf "%s/%s:%s" $image.registry $image.repository $image.tag -}}
{{- with $image.digest }}{{ printf "@%s" . }}{{ end -}}
{{- end }}
