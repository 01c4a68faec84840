{{- /*
docker-registry.endpoint.removal (a map with root, name, event, weight, option, env): a Job that removes what the
script made, while Helm does `event`; with an account and rights of its own, which are there no longer than
that: who runs every few minutes has no use for them. And they are there whatever else of a release is: the
objects of one whose install failed may never have been made.
*/}}
{{- define "docker-registry.endpoint.removal" -}}
{{- $root := .root }}
{{- $namespace := include "docker-registry.namespace" $root }}
{{- $name := printf "%s-%s" (include "docker-registry.endpoint.name" $root) .name }}
{{- $abroad := printf "%s-%s" $namespace $name }}
{{- $named := include "docker-registry.endpoint.map" .env | fromYaml }}
{{- /* Helm 3 leaves behind what a failed hook needed; as one of an uninstall too, it goes with the release. */}}
{{- $events := list .event "pre-delete" | uniq | join "," }}
{{- include "docker-registry.endpoint.account" (list $root $name $events) }}
{{- include "docker-registry.endpoint.role" (list $root $name $namespace $name (include "docker-registry.endpoint.removeRules" (list $named .option)) $events) }}
{{- if and $named.GC_HOSTING (ne .option "--withdraw") }}
{{- include "docker-registry.endpoint.role" (list $root $abroad "kube-public" $name (include "docker-registry.endpoint.hostingRules" (list "get" "delete")) $events) }}
{{- end }}
{{- with $named.GC_TRUST }}
{{- include "docker-registry.endpoint.role" (list $root (printf "%s-trust" $abroad) (splitList "/" . | first) $name (include "docker-registry.endpoint.trustRules" (splitList "/" . | last)) $events) }}
{{- end }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "docker-registry.endpoint.job.name" (list $root .name) | quote }}
  namespace: {{ $namespace | quote }}
  labels:
    {{- include "docker-registry.newLabels" (list $root "endpoint") | nindent 4 }}
  {{- include "docker-registry.endpoint.hook" (list $root .event .weight) | nindent 2 }}
spec:
  {{- include "docker-registry.endpoint.tries" $root | nindent 2 }}
  {{- /* The nodes' time; and that of a pod that starts, and of a run of the CronJob that goes on. */}}
  {{- $nodes := ternary (include "docker-registry.seconds" ($named.GC_TRUST_TIMEOUT | default "2m") | int) 0 (not (empty $named.GC_TRUST)) }}
  activeDeadlineSeconds: {{ add 150 $nodes }}
  template:
    {{- include "docker-registry.endpoint.pod" (list $root $name (list "endpoint" .option) .env false) | trim | nindent 4 }}
{{- end }}
