{{- /*
docker-registry.preflight.annotations (list ROOT WEIGHT ANNOTATIONS): the block `annotations:` of a hook
before install and upgrade. What failed stays, to be read, until the next try or for a day.
*/}}
{{- define "docker-registry.preflight.annotations" -}}
{{- $hook := dict
  "helm.sh/hook" "pre-install,pre-upgrade"
  "helm.sh/hook-weight" (index . 1)
  "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" }}
{{- $all := include "docker-registry.texts" (list (index . 2) $hook) | fromYaml }}
{{- include "docker-registry.annotations" (list (index . 0) $all) }}
{{- end }}

{{- /* docker-registry.preflight.exists (root context): true where some object of the release uses the collector's image. */}}
{{- define "docker-registry.preflight.exists" -}}
{{- $used := or (eq (include "docker-registry.gc.inPod" .) "true") (eq (include "docker-registry.gc.withCronJob" .) "true") (eq (include "docker-registry.endpoint.exists" .) "true") }}
{{- if and .Values.garbageCollect.preflight.enabled $used }}true{{ else }}false{{ end }}
{{- end }}

{{- /*
docker-registry.preflight.volume (root context): how the Job may mount the claim: `shared` anywhere,
`beside` only on the node of the running pod, nothing where a mount could wait for ever: no such claim
yet, a claim for one pod, or no pod that it could join.
*/}}
{{- define "docker-registry.preflight.volume" -}}
{{- if and .Release.IsUpgrade (eq (include "docker-registry.gc.inPod" .) "true") (eq (include "docker-registry.volumeKind" .) "claim") }}
{{- $namespace := include "docker-registry.namespace" . }}
{{- $claim := lookup "v1" "PersistentVolumeClaim" $namespace (include "docker-registry.claim.name" .) }}
{{- $modes := dig "spec" "accessModes" list $claim }}
{{- if and $claim (not (has "ReadWriteOncePod" $modes)) }}
{{- $workload := lookup "apps/v1" (include "docker-registry.workload.kind" .) $namespace (include "docker-registry.fullname" .) }}
{{- $mounted := false }}
{{- range dig "spec" "template" "spec" "volumes" list $workload }}
{{- $mounted = or $mounted (eq (dig "persistentVolumeClaim" "claimName" "" .) (include "docker-registry.claim.name" $)) }}
{{- end }}
{{- if has "ReadWriteMany" $modes }}shared
{{- else if and $mounted (dig "status" "readyReplicas" 0 $workload) }}beside
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.preflight.affinity (root context): the user's rules for nodes, as for the registry's
pod; or the node of the running pod where the volume is only there, whatever the new rules say: both
together would be no node at all for who moves the registry to another one.
*/}}
{{- define "docker-registry.preflight.affinity" -}}
{{- if ne (include "docker-registry.preflight.volume" .) "beside" }}
{{- with .Values.affinity.nodeAffinity }}
nodeAffinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- else }}
podAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- include "docker-registry.selector" . | nindent 10 }}
{{- end }}
{{- end }}
