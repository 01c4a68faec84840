{{- /*
docker-registry.podTemplate (root context): the registry's pod, in a Deployment or a StatefulSet.
*/}}
{{- define "docker-registry.podTemplate" -}}
{{- $inPod := eq (include "docker-registry.gc.inPod" .) "true" -}}
metadata:
  labels:
    {{- include "docker-registry.podLabels" (list . "registry" (include "docker-registry.rendered" (list . .Values.podLabels) | fromYaml)) | nindent 4 }}
  annotations:
    {{- include "docker-registry.podAnnotations" . | nindent 4 }}
spec:
  {{- with include "docker-registry.serviceAccount.name" . }}
  serviceAccountName: {{ . | quote }}
  {{- end }}
  automountServiceAccountToken: {{ .Values.automountServiceAccountToken }}
  {{- /* A Service called registry-storage would otherwise become a part of the registry's configuration. */}}
  enableServiceLinks: {{ .Values.enableServiceLinks }}
  {{- if $inPod }}
  {{- /* So that the collector can end the registry's process, which the kubelet then starts again. */}}
  shareProcessNamespace: true
  {{- end }}
  terminationGracePeriodSeconds: {{ include "docker-registry.terminationGracePeriod" . }}
  {{- with include "docker-registry.imagePullSecrets" . | fromYamlArray }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- range $field := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
  {{- with include "docker-registry.renderedText" (list $ (index $.Values $field)) }}
  {{ $field }}: {{ . | quote }}
  {{- end }}
  {{- end }}
  {{- with include "docker-registry.podSecurityContext" . | fromYaml }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "docker-registry.initContainers" . | fromYamlArray }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    {{- include "docker-registry.container" . | nindent 4 }}
    {{- with .Values.extraContainers }}
    {{- include "docker-registry.rendered" (list $ .) | nindent 4 }}
    {{- end }}
  {{- range $field := list "nodeSelector" "affinity" "tolerations" "hostAliases" "dnsConfig" }}
  {{- with index $.Values $field }}
  {{ $field }}:
    {{- include "docker-registry.rendered" (list $ .) | nindent 4 }}
  {{- end }}
  {{- end }}
  {{- with include "docker-registry.topologySpread" . | fromYamlArray }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumes:
    {{- include "docker-registry.volumes" . | nindent 4 }}
    {{- if $inPod }}
    {{- include "docker-registry.gc.volumes" . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* docker-registry.container (root context): the registry itself, as a list of one. */}}
{{- define "docker-registry.container" -}}
- name: {{ .Chart.Name | quote }}
  image: {{ include "docker-registry.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy | quote }}
  command:
    - /bin/registry
    - serve
    - {{ include "docker-registry.configFile" . | quote }}
  ports:
    - containerPort: {{ include "docker-registry.port" . | int }}
    {{- if .Values.metrics.enabled }}
    - containerPort: {{ include "docker-registry.debugPort" . | int }}
      name: http-metrics
      protocol: TCP
    {{- end }}
  env:
    {{- include "docker-registry.env" (list . (include "docker-registry.secret.name" .)) | nindent 4 }}
    {{- with include "docker-registry.gc.modeEnv" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
  {{- with include "docker-registry.envFrom" . | fromYamlArray }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "docker-registry.probes" . | fromYaml }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with include "docker-registry.lifecycle" . | fromYaml }}
  lifecycle:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "docker-registry.containerSecurityContext" . | fromYaml }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    {{- include "docker-registry.mounts" . | nindent 4 }}
{{- end }}
