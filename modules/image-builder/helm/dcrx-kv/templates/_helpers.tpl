{{/* Labels of every object. */}}
{{- define "dcrx-kv.labels" -}}
app.kubernetes.io/name: dcrx-kv
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What a part's pods are known by: the service, its builds, its database. */}}
{{- define "dcrx-kv.selector" -}}
app.kubernetes.io/name: dcrx-kv
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "dcrx-kv.databaseName" -}}
{{ .Release.Name }}-postgresql
{{- end }}

{{- define "dcrx-kv.databaseSecret" -}}
{{ .Values.database.tryOut.existingSecret | default (include "dcrx-kv.databaseName" .) }}
{{- end }}

{{- define "dcrx-kv.databasePort" -}}
{{ .Values.database.port | default (eq .Values.database.type "mysql" | ternary 3306 5432) }}
{{- end }}

{{/* Large files that requests copy, on a volume that all pods share. */}}
{{- define "dcrx-kv.uploadsVolume" -}}
{{- with .Values.uploads.existingClaim }}
- name: uploads
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- end }}

{{- define "dcrx-kv.uploadsMount" -}}
{{- if .Values.uploads.existingClaim }}
- name: uploads
  mountPath: /var/lib/image-builder/uploads
{{- end }}
{{- end }}

{{/* What every pod of our image has as environment, besides its settings. */}}
{{- define "dcrx-kv.environment" -}}
envFrom:
  - configMapRef:
      name: {{ .Release.Name }}-settings
  - secretRef:
      name: {{ .Values.existingSecret }}
{{- end }}

{{- define "dcrx-kv.databasePassword" -}}
{{- if .Values.database.tryOut.enabled }}
- name: DCRX_KV_DATABASE_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "dcrx-kv.databaseSecret" . }}
      key: password
{{- end }}
{{- end }}

{{/* Pod Security Standards, "restricted": of a pod, and of a container. */}}
{{- define "dcrx-kv.restrictedPod" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "dcrx-kv.restrictedContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* API versions that the cluster has; a newer one wins. */}}
{{- define "dcrx-kv.hpaVersion" -}}
{{- if .Capabilities.APIVersions.Has "autoscaling/v2" -}}
autoscaling/v2
{{- else if .Capabilities.APIVersions.Has "autoscaling/v2beta2" -}}
autoscaling/v2beta2
{{- else -}}
autoscaling/v1
{{- end }}
{{- end }}

{{- define "dcrx-kv.budgetVersion" -}}
{{- if .Capabilities.APIVersions.Has "policy/v1" -}}policy/v1{{- else -}}policy/v1beta1{{- end }}
{{- end }}

{{/* Whether build pods have users of their own; left to the cluster's version when nothing is said. */}}
{{- define "dcrx-kv.buildsHostUsers" -}}
{{- if kindIs "bool" .Values.builds.hostUsers -}}
{{ .Values.builds.hostUsers }}
{{- else if semverCompare ">=1.33.0-0" .Capabilities.KubeVersion.Version -}}
false
{{- else -}}
true
{{- end }}
{{- end }}

{{/* Why values that are right one by one cannot be used together. */}}
{{- define "dcrx-kv.check" -}}
{{- if and (not .Values.database.tryOut.enabled) (not .Values.database.host) (not .Values.database.uriInSecret) }}
{{- fail "there is no database: set database.host, or database.uriInSecret to true when the secret has DCRX_KV_DATABASE_URI, or database.tryOut.enabled to true" }}
{{- end }}
{{- if and .Values.database.tryOut.enabled (or .Values.database.host .Values.database.uriInSecret) }}
{{- fail "there are two databases: set database.tryOut.enabled to false when database.host or database.uriInSecret is set" }}
{{- end }}
{{- if and .Values.database.tryOut.enabled (ne .Values.database.type "asyncpg") }}
{{- fail "database.tryOut is PostgreSQL: leave database.type at asyncpg, or set database.tryOut.enabled to false" }}
{{- end }}
{{- if and .Values.builds.commands (ne .Values.builds.mode "kubernetes") }}
{{- fail "builds.commands needs builds.mode kubernetes: the service's own pods allow no commands" }}
{{- end }}
{{- if and .Values.ingress.enabled .Values.ingress.tlsSecretName (not .Values.ingress.host) }}
{{- fail "ingress.host is not set: a certificate (ingress.tlsSecretName) is for a host" }}
{{- end }}
{{- range $name, $_ := .Values.settings }}
{{- if regexMatch "(SECRET_KEY|ENCRYPTION_KEY|PASSWORD|DATABASE_URI)$" $name }}
{{- fail (printf "settings.%s is a secret: put it into the secret that existingSecret names" $name) }}
{{- end }}
{{- end }}
{{- end }}
