{{/* A build's Job. */}}
{{- define "dcrx-kv.job" -}}
apiVersion: batch/v1
kind: Job
metadata:
  labels:
    {{- include "dcrx-kv.selector" (dict "root" . "component" "build") | nindent 4 }}
    {{- with .Values.builds.kueueQueue }}
    kueue.x-k8s.io/queue-name: {{ . }}
    {{- end }}
spec:
  ttlSecondsAfterFinished: {{ .Values.builds.ttlSecondsAfterFinished }}
  template:
    metadata:
      labels:
        {{- include "dcrx-kv.selector" (dict "root" . "component" "build") | nindent 8 }}
        {{- with .Values.builds.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.builds.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ .Values.builds.serviceAccount.name }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      restartPolicy: Never
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.builds.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.builds.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if and .Values.builds.commands (eq (include "dcrx-kv.buildsHostUsers" .) "false") }}
      hostUsers: false
      {{- end }}
      securityContext:
        {{- if .Values.builds.commands }}
        runAsNonRoot: true
        runAsUser: {{ .Values.builds.userId }}
        runAsGroup: {{ .Values.builds.userId }}
        fsGroup: {{ .Values.builds.userId }}
        seccompProfile:
          {{- toYaml .Values.builds.seccompProfile | nindent 10 }}
        {{- else }}
        {{- include "dcrx-kv.restrictedPod" .Values.builds.userId | nindent 8 }}
        {{- end }}
      containers:
        - name: build
          image: {{ .Values.image.uri | quote }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          command: [image-builder]
          {{- include "dcrx-kv.environment" . | nindent 10 }}
          {{- with include "dcrx-kv.databasePassword" . }}
          env:
            {{- . | nindent 12 }}
          {{- end }}
          securityContext:
            {{- if .Values.builds.commands }}
            # newuidmap and newgidmap get these two, by their files; nothing else has any.
            allowPrivilegeEscalation: true
            readOnlyRootFilesystem: true
            procMount: Unmasked
            capabilities:
              drop: [ALL]
              add: [SETUID, SETGID]
            {{- else }}
            {{- include "dcrx-kv.restrictedContainer" . | nindent 12 }}
            {{- end }}
          resources:
            {{- toYaml .Values.builds.resources | nindent 12 }}
          volumeMounts:
            - name: builds
              mountPath: /tmp/image-builder
            {{- include "dcrx-kv.uploadsMount" . | nindent 12 }}
      volumes:
        - name: builds
          emptyDir:
            sizeLimit: {{ .Values.builds.disk }}
        {{- include "dcrx-kv.uploadsVolume" . | nindent 8 }}
{{- end }}
