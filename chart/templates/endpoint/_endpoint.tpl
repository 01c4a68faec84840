{{- /*
The script that says where the registry is, and what else is done every few minutes: environment and pod
of its CronJob and of its Jobs. All helpers take the root context where they do not say another.
*/}}

{{- /*
docker-registry.endpoint.exists: true where the CronJob and its Jobs are: for the RegistryEndpoint, or for
what has to be looked after without it.
*/}}
{{- define "docker-registry.endpoint.exists" -}}
{{- $lookedAfter := list (include "docker-registry.tls.restarts" .) (include "docker-registry.gc.readOnly" .) }}
{{- $own := eq (include "docker-registry.tls.mode" .) "selfSigned" }}
{{- if or .Values.endpoint.enabled $own (has "true" $lookedAfter) }}true{{ else }}false{{ end }}
{{- end }}

{{- /*
docker-registry.endpoint.nodes: true where the nodes are listed. A Service of our own that has no port on
them has no use for it.
*/}}
{{- define "docker-registry.endpoint.nodes" -}}
{{- $service := .Values.service }}
{{- $onNodes := or (not $service.create) (has $service.type (list "NodePort" "LoadBalancer")) }}
{{- if and .Values.endpoint.nodeAddresses $onNodes }}true{{ else }}false{{ end }}
{{- end }}

{{- /*
docker-registry.endpoint.lookEnv: a list of {name, value}: what the script that makes certificates and the
one that publishes addresses look at. Both must see the same, or the certificate would miss a name.
*/}}
{{- define "docker-registry.endpoint.lookEnv" -}}
{{- $endpoint := .Values.endpoint }}
{{- $trust := .Values.nodeTrust | default dict }}
{{- $trusts := eq (include "docker-registry.nodeTrust.exists" .) "true" }}
{{- $addresses := include "docker-registry.rendered" (list . $endpoint.addresses) | fromYamlArray }}
{{- $env := list
  (dict "name" "GC_NAMESPACE" "value" (include "docker-registry.namespace" .))
  (dict "name" "GC_RELEASE" "value" .Release.Name)
  (dict "name" "GC_SERVICE" "value" (include "docker-registry.service.name" .))
  (dict "name" "GC_EVENTS_ABOUT" "value" (include "docker-registry.events.about" .))
  (dict "name" "GC_NODE_ADDRESSES" "value" (include "docker-registry.endpoint.nodes" .))
  (dict "name" "GC_ENDPOINT_ADDRESSES" "value" (join " " $addresses))
  (dict "name" "GC_ENDPOINT_SCHEME" "value" (include "docker-registry.text" $endpoint.scheme))
  (dict "name" "GC_ENDPOINT_CA_SECRET" "value" (include "docker-registry.renderedText" (list . $endpoint.caSecret)))
  (dict "name" "GC_ENDPOINT_NODE_ADDRESS_TYPE" "value" (include "docker-registry.text" $endpoint.nodeAddressType))
  (dict "name" "GC_ENDPOINT_LOOPBACK" "value" (include "docker-registry.text" $endpoint.loopback)) }}
{{- /* A certificate of the user's own configuration, which no Secret that we know has. */}}
{{- if and (eq (include "docker-registry.scheme" .) "https") (not (include "docker-registry.tlsSecret" .)) }}
{{- $env = append $env (dict "name" "GC_POD_SCHEME" "value" "https") }}
{{- end }}
{{- if and $trusts $trust.host }}
{{- $env = append $env (dict "name" "GC_ENDPOINT_NODE_HOST" "value" (include "docker-registry.renderedText" (list . $trust.host))) }}
{{- $env = append $env (dict "name" "GC_ENDPOINT_NODE_VIA" "value" (include "docker-registry.text" $trust.via)) }}
{{- end }}
{{- toYaml $env }}
{{- end }}

{{- /*
docker-registry.endpoint.madeEnv: which objects the script makes, and whom it tells to forget them; who
removes them is told the same. The next release reads it from the CronJob (_before.tpl).
*/}}
{{- define "docker-registry.endpoint.madeEnv" -}}
{{- $env := include "docker-registry.tls.scriptEnv" . | fromYamlArray }}
{{- if .Values.endpoint.enabled }}
{{- $env = append $env (dict "name" "GC_ENDPOINT" "value" (include "docker-registry.fullname" .)) }}
{{- if .Values.endpoint.hosting }}
{{- $env = append $env (dict "name" "GC_HOSTING" "value" "true") }}
{{- end }}
{{- end }}
{{- if eq (include "docker-registry.nodeTrust.exists" .) "true" }}
{{- $env = concat $env (list
  (dict "name" "GC_TRUST" "value" (printf "%s/%s" (include "docker-registry.nodeTrust.namespace" .) (include "docker-registry.nodeTrust.name" .)))
  (dict "name" "GC_TRUST_TIMEOUT" "value" (include "docker-registry.text" .Values.nodeTrust.removeTimeout))) }}
{{- end }}
{{- if eq (include "docker-registry.gc.readOnly" .) "true" }}
{{- $env = append $env (dict "name" "GC_MODE" "value" (include "docker-registry.gc.mode.name" .)) }}
{{- end }}
{{- toYaml $env }}
{{- end }}

{{- /* docker-registry.endpoint.env: of the CronJob and of the Job after an install. */}}
{{- define "docker-registry.endpoint.env" -}}
{{- $name := include "docker-registry.fullname" . }}
{{- $env := concat (include "docker-registry.endpoint.lookEnv" . | fromYamlArray) (include "docker-registry.endpoint.madeEnv" . | fromYamlArray) (list
  (dict "name" "GC_SELECTOR" "value" (printf "app=%s,release=%s" (include "docker-registry.name" .) .Release.Name))
  (dict "name" "GC_REGISTRY_PORT" "value" (include "docker-registry.port" .))) }}
{{- if eq (include "docker-registry.ingress.exists" .) "true" }}
{{- $env = append $env (dict "name" "GC_INGRESS" "value" $name) }}
{{- end }}
{{- if eq (include "docker-registry.httpRoute.exists" .) "true" }}
{{- $env = append $env (dict "name" "GC_HTTPROUTE" "value" $name) }}
{{- end }}
{{- if eq (include "docker-registry.gc.inPod" .) "true" }}
{{- $env = concat $env (list
  (dict "name" "GC_PORT" "value" (include "docker-registry.gc.port" .))
  (dict "name" "GC_TOKEN_FILE" "value" (printf "%s/token" (include "docker-registry.gc.tokenFolder" .)))) }}
{{- else if eq (include "docker-registry.tls.restarts" .) "true" }}
{{- $env = append $env (dict "name" "GC_WORKLOAD" "value" (include "docker-registry.events.workload" .)) }}
{{- end }}
{{- if eq (include "docker-registry.gc.readOnly" .) "true" }}
{{- $env = append $env (dict "name" "GC_READ_ONLY_TIMEOUT" "value" (include "docker-registry.text" .Values.garbageCollect.readOnlyTimeout)) }}
{{- end }}
{{- include "docker-registry.env.withExtra" (list . $env .Values.endpoint.extraEnvVars) }}
{{- end }}

{{- /*
docker-registry.endpoint.removeEnv: of the Job before an uninstall, which first stops the CronJob: a run in the
middle of it would make anew what was removed.
*/}}
{{- define "docker-registry.endpoint.removeEnv" -}}
{{- $env := concat (include "docker-registry.endpoint.lookEnv" . | fromYamlArray) (include "docker-registry.endpoint.madeEnv" . | fromYamlArray) (list
  (dict "name" "GC_CRONJOB" "value" (include "docker-registry.endpoint.cronJob.name" .))) }}
{{- include "docker-registry.env.withExtra" (list . $env .Values.endpoint.extraEnvVars) }}
{{- end }}

{{- /*
docker-registry.endpoint.pod (list ROOT ACCOUNT ARGS ENV TOKEN): a pod template; TOKEN is true where it talks to the
collector's containers.
*/}}
{{- define "docker-registry.endpoint.pod" -}}
{{- $root := index . 0 }}
{{- $endpoint := $root.Values.endpoint }}
{{- $token := index . 4 }}
metadata:
  labels:
    {{- include "docker-registry.podLabels" (list $root "endpoint" $endpoint.podLabels) | nindent 4 }}
  {{- with $endpoint.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ index . 1 | quote }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  restartPolicy: Never
  {{- with include "docker-registry.imagePullSecrets" $root | fromYamlArray }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: endpoint
      {{- include "docker-registry.gc.imageLines" $root | nindent 6 }}
      args:
        {{- toYaml (index . 2) | nindent 8 }}
      env:
        {{- toYaml (index . 3) | nindent 8 }}
      {{- with $endpoint.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        {{- include "docker-registry.restricted" $root | nindent 8 }}
      volumeMounts:
        {{- if $token }}
        - name: gc-token
          mountPath: {{ include "docker-registry.gc.tokenFolder" $root }}
          readOnly: true
        {{- end }}
        - name: tmp
          mountPath: /tmp
  {{- with $endpoint.nodeSelector | default $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $endpoint.affinity }}
  affinity:
    {{- include "docker-registry.rendered" (list $root .) | nindent 4 }}
  {{- end }}
  {{- with $endpoint.tolerations | default $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  volumes:
    {{- if $token }}
    {{- include "docker-registry.gc.tokenVolume" $root | nindent 4 }}
    {{- end }}
    - name: tmp
      emptyDir: {}
{{- end }}

{{- /*
docker-registry.endpoint.hook (list ROOT EVENTS WEIGHT): the block `annotations:` of an object that is there
while Helm does something. What failed stays, to be read, until the next time; Helm 4 prints what a Job
said. Without EVENTS it is an object like any other.
*/}}
{{- define "docker-registry.endpoint.hook" -}}
{{- $hook := dict }}
{{- if index . 1 }}
{{- $hook = dict
  "helm.sh/hook" (index . 1)
  "helm.sh/hook-weight" (index . 2)
  "helm.sh/hook-output-log-policy" "hook-failed"
  "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" }}
{{- end }}
{{- include "docker-registry.annotations" (list (index . 0) $hook) }}
{{- end }}

{{- /*
docker-registry.endpoint.tries (no context): of a Job that Helm waits for, as the first lines of its spec. What
the script itself says by its exit code is an answer, and a second try of a removal would no longer find what
the first has left; a pod that never came to run it, or was evicted, is tried again.
*/}}
{{- define "docker-registry.endpoint.tries" -}}
backoffLimit: 2
podFailurePolicy:
  rules:
    - action: FailJob
      onExitCodes:
        containerName: endpoint
        operator: In
        values: [1, 2, 3, 4, 5, 6]
{{- /* A failed one stays to be read, but not after the release is gone. */}}
ttlSecondsAfterFinished: 86400
{{- end }}
