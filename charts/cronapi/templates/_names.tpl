{{- define "cronapi.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "cronapi.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "cronapi.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cronapi.headless" -}}
{{- printf "%s-nodes" (include "cronapi.fullname" .) -}}
{{- end -}}

{{- define "cronapi.selector" -}}
app.kubernetes.io/name: {{ include "cronapi.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of the nodes alone: the pod of `helm test` is none of them. */}}
{{- define "cronapi.nodes" -}}
{{ include "cronapi.selector" . }}
app.kubernetes.io/component: node
{{- end -}}

{{- define "cronapi.labels" -}}
{{ include "cronapi.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "cronapi.secret" -}}
{{- default (include "cronapi.fullname" .) .Values.existingSecret -}}
{{- end -}}

{{- define "cronapi.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "cronapi.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "cronapi.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The DNS domain of the pods of the set. */}}
{{- define "cronapi.domain" -}}
{{- printf "%s.%s.svc.%s" (include "cronapi.headless" .) .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{/*
Whom a node asks that is of no cluster yet: the first three by name, of whom the first begins the
cluster once all have answered; and all there are, so that a cluster is found wherever it lives.
Three, however many there are: so the pods stay as they are when the set grows or shrinks.
*/}}
{{- define "cronapi.join" -}}
{{- $addresses := list -}}
{{- range $ordinal := until (min 3 (int .Values.replicas) | int) -}}
{{- $addresses = append $addresses (printf "%s-%d.%s:8001" (include "cronapi.fullname" $) $ordinal (include "cronapi.domain" $)) -}}
{{- end -}}
{{- append $addresses (printf "%s:8001" (include "cronapi.domain" .)) | join "," -}}
{{- end -}}

{{- define "cronapi.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "cronapi.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What REST is served as. */}}
{{- define "cronapi.scheme" -}}
{{- if .Values.tls.existingSecret }}https{{ else }}http{{ end }}
{{- end -}}
