{{- /* docker-registry.notes.collection (root context): when it collects, and the commands to see and to start it. */}}
{{- define "docker-registry.notes.collection" -}}
{{- $namespace := include "docker-registry.namespace" . }}
{{- $gc := .Values.garbageCollect }}
{{- if $gc.enabled }}
{{- if eq (include "docker-registry.gc.periodic" .) "true" }}
  By itself, every {{ include "docker-registry.text" $gc.period }}{{ if regexMatch "^[0-9]+$" (include "docker-registry.text" $gc.period) }} seconds{{ end }}.
{{- else }}
  By the CronJob, at "{{ $gc.schedule }}"{{ with $gc.hook.timeZone }} ({{ . }}){{ end }}.
{{- end }}
{{- if eq (include "docker-registry.gc.withCronJob" .) "true" }}
  To collect now:
    JOB=collect-$(date +%s)
    kubectl create job -n {{ $namespace }} --from=cronjob/{{ include "docker-registry.gc.cronJob.name" . }} $JOB
    until kubectl logs -n {{ $namespace }} --follow job/$JOB; do sleep 2; done    # its pod may take a moment to start
{{- end }}
{{- if eq (include "docker-registry.gc.readOnly" .) "true" }}
  Meanwhile nobody can push (405), and each registry is restarted in its pod before and after it.
  To keep it read-only for an hour without a collection; off instead of on, and without --for, lets people push:
    kubectl create job -n {{ $namespace }} --from=cronjob/{{ include "docker-registry.gc.cronJob.name" . }} read-only-$(date +%s) --dry-run=client -o json \
      | kubectl patch --local -f - -o json --type json -p '[{"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["read-only", "on", "--for", "1h"]}]' \
      | kubectl create -f -
{{- end }}
  To see what it would delete:
    kubectl exec -n {{ $namespace }} {{ include "docker-registry.notes.workload" . }} -c gc -- registry-gc plan {{ include "docker-registry.configFile" . }}
{{- if eq (include "docker-registry.cacheKind" .) "inmemory" }}
  The registry caches descriptors in memory, so each collection that removes something restarts it once in
  its pod. Without the cache nothing restarts: configData.storage.cache: null.
{{- end }}
{{- else }}
  Off. Set garbageCollect.enabled: true, and what is deleted frees its space.
{{- end }}
{{- if and (not .Values.persistence.deleteEnabled) (ne (include "docker-registry.configured" (list . "storage" "delete" "enabled")) "true") }}
  Without persistence.deleteEnabled: true nobody can delete a manifest.
{{- end }}
{{- end }}
