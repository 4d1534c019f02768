{{/* Labels of every object. */}}
{{- define "dcv.labels" -}}
{{ include "dcv.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What a pod of this release is known by. `env: dcv` is what existing consumers select. */}}
{{- define "dcv.selector" -}}
env: dcv
app.kubernetes.io/name: dcv
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Why values that are right one by one cannot be used together. */}}
{{- define "dcv.check" -}}
{{- if not .Values.image.uri }}
{{- fail "image.uri is not set: give it the output DCVImageUri or DCVImageDigestUri of the module dcv-image" }}
{{- end }}
{{- if not .Values.region }}
{{- fail "region is not set: give it the AWS region of the secret, such as us-east-1" }}
{{- end }}
{{- if not (or .Values.tls.secretName .Values.tls.selfSigned) }}
{{- fail "port 8443 has no certificate: set tls.secretName to a secret of type kubernetes.io/tls, or tls.selfSigned to true" }}
{{- end }}
{{- end }}
