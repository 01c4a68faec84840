{{- /*
docker-registry.strategy (root context): a volume that one node mounts is not given to a second pod
before the first has left it. Not `Recreate` unless it is asked for, see below. A StatefulSet never has
two pods of one name.
*/}}
{{- define "docker-registry.strategy" -}}
{{- $recreate := eq (toString .Values.updateStrategy.type) "Recreate" }}
{{- if and $recreate (include "docker-registry.recreateLater" .) }}
type: RollingUpdate
rollingUpdate:
  maxSurge: 0
  maxUnavailable: 100%
{{- else if .Values.updateStrategy }}
{{- toYaml .Values.updateStrategy }}
{{- if $recreate }}
rollingUpdate: null
{{- end }}
{{- else if and (include "docker-registry.oneNode" .) (eq (include "docker-registry.workload.kind" .) "Deployment") }}
type: RollingUpdate
rollingUpdate:
  maxSurge: 0
  maxUnavailable: 1
{{- end }}
{{- end }}

{{- /*
docker-registry.recreateLater (root context): true where the cluster would refuse `Recreate` now.

It filled in `rollingUpdate` where no strategy was given, as at the peers, and refuses that beside
`Recreate`. With server-side apply (Helm 4, Argo CD) nobody can take away what nobody gave, not even
with `null` (seen on 1.34). So this upgrade gives the same numbers that `Recreate` stands for, and the
next one, to which they belong then, takes them away.
*/}}
{{- define "docker-registry.recreateLater" -}}
{{- $live := lookup "apps/v1" "Deployment" (include "docker-registry.namespace" .) (include "docker-registry.fullname" .) }}
{{- if and $live (ne (dig "spec" "strategy" "type" "" $live) "Recreate") }}
{{- $ours := false }}
{{- range dig "metadata" "managedFields" list $live }}
{{- $given := dig "fieldsV1" "f:spec" "f:strategy" "f:rollingUpdate" dict . }}
{{- if and (eq (.manager | default "") "helm") (hasKey $given "f:maxSurge") (hasKey $given "f:maxUnavailable") }}
{{- $ours = true }}
{{- end }}
{{- end }}
{{- if not $ours }}true{{ end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.initContainers (root context): in their order: the folder gets its owner, the user's
own, the write test, and the collector, which stays.
*/}}
{{- define "docker-registry.initContainers" -}}
{{- include "docker-registry.folderOwner" . }}
{{- with .Values.initContainers }}
{{ include "docker-registry.rendered" (list $ .) }}
{{- end }}
{{- if eq (include "docker-registry.gc.inPod" .) "true" }}
{{ include "docker-registry.gc.writeTest" . }}
{{ include "docker-registry.gc.sidecar" . }}
{{- end }}
{{- end }}

{{- /*
docker-registry.folderOwner (root context): the kubelet makes a hostPath folder as root, and fsGroup
does not count there. Only the folder itself, and only when it belongs to somebody else: CAP_CHOWN
is all that this container has. What is in the folder is left as it is.
*/}}
{{- define "docker-registry.folderOwner" -}}
{{- $user := include "docker-registry.userId" . }}
{{- if and (eq (include "docker-registry.volumeKind" .) "hostPath") $user (ne $user "0") }}
{{- $owner := printf "%s:%s" $user (include "docker-registry.groupId" .) }}
- name: folder-owner
  image: {{ include "docker-registry.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy | quote }}
  command:
    - /bin/sh
    - -c
    - |
      folder=/var/lib/registry
      [ "$(stat -c %u:%g "$folder")" = {{ $owner }} ] || chown {{ $owner }} "$folder"
  securityContext:
    allowPrivilegeEscalation: false
    capabilities:
      add: [CHOWN]
      drop: [ALL]
    readOnlyRootFilesystem: true
    runAsNonRoot: false
    runAsUser: 0
    runAsGroup: 0
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
    - name: data
      mountPath: /var/lib/registry/
  {{- with .Values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.probes (root context): of the registry's container, by their names. `/` answers without
a login, and 503 while the store's health check fails.
*/}}
{{- define "docker-registry.probes" -}}
{{- $asks := include "docker-registry.tls.probe" . | fromYaml }}
{{- /* Two minutes to start; then one failed minute before a restart, which a busy disk should not cause. */}}
{{- $timings := dict
  "startupProbe" (dict "periodSeconds" 1 "timeoutSeconds" 5 "failureThreshold" 120)
  "livenessProbe" (dict "timeoutSeconds" 5 "failureThreshold" 6)
  "readinessProbe" (dict "timeoutSeconds" 5) }}
{{- $probes := dict }}
{{- range $name, $ours := $timings }}
{{- $given := index $.Values $name | default dict }}
{{- $probe := omit $given "enabled" }}
{{- $own := or $given.httpGet $given.tcpSocket $given.exec $given.grpc }}
{{- if not $own }}
{{- $probe = mergeOverwrite (deepCopy $asks) $ours $probe }}
{{- end }}
{{- if ne (include "docker-registry.text" $given.enabled) "false" }}
{{- $_ := set $probes $name $probe }}
{{- end }}
{{- end }}
{{- toYaml $probes }}
{{- end }}

{{- /*
docker-registry.lifecycle (root context): a pod that is to end still gets requests for a moment, until
every node has heard of it. `sleep` as a command: Kubernetes 1.29 does not have it as an action.
*/}}
{{- define "docker-registry.lifecycle" -}}
{{- $seconds := include "docker-registry.preStopSeconds" . }}
{{- if .Values.lifecycle }}
{{- toYaml .Values.lifecycle }}
{{- else if ne $seconds "0" }}
preStop:
  exec:
    command: [sleep, {{ $seconds | quote }}]
{{- else }}
{{- toYaml dict }}
{{- end }}
{{- end }}

{{- /* docker-registry.topologySpread (root context): a list; a constraint that selects nothing would do nothing. */}}
{{- define "docker-registry.topologySpread" -}}
{{- $constraints := list }}
{{- $given := include "docker-registry.rendered" (list . (dict "list" .Values.topologySpreadConstraints)) | fromYaml }}
{{- if kindIs "slice" $given.list }}
{{- range $given.list }}
{{- if not .labelSelector }}
{{- $_ := set . "labelSelector" (dict "matchLabels" (include "docker-registry.selector" $ | fromYaml)) }}
{{- end }}
{{- $constraints = append $constraints . }}
{{- end }}
{{- end }}
{{- toYaml $constraints }}
{{- end }}

{{- /*
docker-registry.podAnnotations (root context). The checksums are of what was given, never of what was
generated: that would restart the registry at each render.
*/}}
{{- define "docker-registry.podAnnotations" -}}
{{- $secret := printf "%s%s" (include "docker-registry.sharedSecret" .) (include "docker-registry.secretData" .) }}
{{- $annotations := dict "checksum/config" (include "docker-registry.effectiveConfig" . | sha256sum) }}
{{- if include "docker-registry.tokenAuth" . }}
{{- $_ := set $annotations "checksum/token" (include "docker-registry.tokenData" . | sha256sum) }}
{{- end }}
{{- /* Certificates are read once, at the registry's start. */}}
{{- if include "docker-registry.tls.fromTexts" . }}
{{- $_ := set $annotations "checksum/tls" (printf "%s%s" .Values.tls.crt .Values.tls.key | sha256sum) }}
{{- end }}
{{- $_ := set $annotations "checksum/secret" ($secret | sha256sum) }}
{{- $given := include "docker-registry.rendered" (list . .Values.podAnnotations) | fromYaml }}
{{- include "docker-registry.texts" (list $given $annotations) }}
{{- end }}
