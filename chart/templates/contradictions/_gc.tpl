{{- /*
docker-registry.contradictions.gc (root context): a line `- sentence` each. Only about a collection that is
turned on: what is off contradicts nothing.
*/}}
{{- define "docker-registry.contradictions.gc" -}}
{{- $gc := .Values.garbageCollect }}
{{- if $gc.enabled }}
{{- $off := "Set garbageCollect.enabled: false; collecting object storage comes with a later version." }}
{{- if not (has $gc.mode (list "" "sidecar" "cronjob")) }}
- garbageCollect.mode is {{ $gc.mode }}. Remove it, and it follows the storage; or set sidecar or cronjob.
{{- else if and (ne .Values.storage "filesystem") (eq $gc.mode "sidecar") }}
- garbageCollect.mode is sidecar, but storage is {{ .Values.storage }}, which has no volume to share. {{ $off }}
{{- else if ne .Values.storage "filesystem" }}
- garbageCollect.enabled is true, but storage is {{ .Values.storage }}, which the collector cannot collect yet. {{ $off }}
{{- else if eq $gc.mode "cronjob" }}
- garbageCollect.mode is cronjob, a pod of its own, which cannot share the registry's volume: storage is filesystem. Remove garbageCollect.mode (the collector then runs beside the registry), or set garbageCollect.enabled: false.
{{- end }}
{{- if and (eq (include "docker-registry.cacheKind" .) "inmemory") (eq $gc.restart "never") }}
- garbageCollect.restart is never, but the registry caches descriptors in memory (configData.storage.cache) and would answer for what was deleted until it is restarted. Set configData.storage.cache: null, or garbageCollect.restart: auto.
{{- end }}
{{- $periodic := eq (include "docker-registry.gc.periodic" .) "true" }}
{{- if and (not $gc.schedule) (not $periodic) }}
- garbageCollect.enabled is true, but neither garbageCollect.schedule nor garbageCollect.period says when to collect. Set one, or garbageCollect.enabled: false.
{{- end }}
{{- if and $gc.schedule (not (regexMatch "^(@[a-z]+( +[0-9]+[0-9a-z]*)?|[^ ]+( +[^ ]+){4})$" (trim $gc.schedule))) }}
- garbageCollect.schedule: {{ quote $gc.schedule }} is not a schedule of five fields like "0 1 * * *" (each night at one), nor a word like @daily.
{{- end }}
{{- if and $gc.token $gc.tokenRef.name }}
- garbageCollect.token is set, and garbageCollect.tokenRef.name is {{ $gc.tokenRef.name }}: the collector has one token. Remove one of the two.
{{- end }}
{{- $decided := .Capabilities.APIVersions.Has "security.openshift.io/v1" }}
{{- if and (eq (include "docker-registry.userId" .) "") (not $decided) }}
- garbageCollect.enabled is true, but neither containerSecurityContext.runAsUser nor securityContext.runAsUser is set and in force, so the collector could not be given the user of the registry's files. Set containerSecurityContext.enabled: true and its runAsUser (0 if the registry runs as root).
{{- end }}
{{- if eq (include "docker-registry.port" .) (include "docker-registry.gc.port" .) }}
- configData.http.addr has the port {{ include "docker-registry.gc.port" . }}, which the collector listens on in the same pod. Set another one.
{{- end }}
{{- $ratio := include "docker-registry.text" $gc.maxDeleteRatio }}
{{- if not (regexMatch "^(0([.][0-9]+)?|1([.]0+)?)$" $ratio) }}
- garbageCollect.maxDeleteRatio: {{ quote $ratio }} is not a share from 0 to 1, such as 0.8.
{{- end }}
{{- $own := list "GC_DELETE_UNTAGGED" "GC_GRACE_PERIOD" "GC_MAX_DELETE_RATIO" "GC_MEMORY_START_DELAY" "GC_PEERS_HOST"
  "GC_PERIOD" "GC_POD_IP" "GC_POD_NAME" "GC_PORT" "GC_QUARANTINE" "GC_RESTART" "GC_SETTLE_PERIOD" "GC_START_DELAY"
  "GC_STOP_TIMEOUT" "GC_TOKEN_FILE" "GC_UPLOAD_GRACE_PERIOD" }}
{{- range .Values.extraEnvVars }}
{{- if has .name $own }}
- extraEnvVars has {{ .name }}, which the collector is given from garbageCollect. Set it there, and remove the variable.
{{- end }}
{{- end }}
{{- if $gc.readOnly }}
{{- include "docker-registry.contradictions.gc.readOnly" . }}
{{- end }}
{{- include "docker-registry.contradictions.image" (list "garbageCollect.image" .Values.garbageCollect.image) }}
{{- include "docker-registry.contradictions.gc.durations" $gc }}
{{- end }}
{{- end }}

{{- define "docker-registry.contradictions.gc.durations" -}}
{{- $durations := dict "gracePeriod" .gracePeriod "settlePeriod" .settlePeriod "uploadGracePeriod" .uploadGracePeriod
  "quarantine" .quarantine "hook.timeout" .hook.timeout "hook.startingDeadline" .hook.startingDeadline
  "sidecar.startDelay" .sidecar.startDelay "sidecar.memoryStartDelay" .sidecar.memoryStartDelay
  "preflight.timeout" .preflight.timeout "readOnlyExpires" .readOnlyExpires "readOnlyTimeout" .readOnlyTimeout }}
{{- range $name, $value := $durations }}
{{- include "docker-registry.duration" (list (printf "garbageCollect.%s" $name) $value) }}
{{- end }}
{{- range $name, $value := dict "period" .period "hook.activeDeadline" .hook.activeDeadline }}
{{- include "docker-registry.duration" (list (printf "garbageCollect.%s" $name) $value "seconds" "empty") }}
{{- end }}
{{- end }}

{{- /*
docker-registry.contradictions.gc.readOnly (root context): why a registry could not be switched, or would be for
nothing.
*/}}
{{- define "docker-registry.contradictions.gc.readOnly" -}}
{{- $gc := .Values.garbageCollect }}
{{- $wayOut := "Set garbageCollect.readOnly: false; a collection is safe without it." }}
{{- with include "docker-registry.gc.pullThrough" . }}
- garbageCollect.readOnly is true, but the registry is a cache of another one ({{ . }}), which writes to its store when people pull, read-only or not. {{ $wayOut }}
{{- end }}
{{- if ne (include "docker-registry.gc.inPod" .) "true" }}
- garbageCollect.readOnly is true, but no collector runs beside the registry, and only one in the same pod can restart it in place. {{ $wayOut }}
{{- end }}
{{- if not $gc.schedule }}
- garbageCollect.readOnly is true, but garbageCollect.schedule is empty, and only the CronJob's pod can switch the registry. Set a schedule; beside a period, which collects as ever, it is the button. Or set garbageCollect.readOnly: false.
{{- end }}
{{- $name := "REGISTRY_STORAGE_MAINTENANCE_READONLY" }}
{{- range $each, $_ := include "docker-registry.extraValues" . | fromYaml }}
{{- if hasPrefix $name $each }}
- garbageCollect.readOnly is true, but extraEnvVars has {{ $each }}, which would count instead of the switch. Remove one of the two.
{{- end }}
{{- end }}
{{- if eq (include "docker-registry.configured" (list . "storage" "maintenance" "readonly" "enabled")) "true" }}
- garbageCollect.readOnly is true, but configData.storage.maintenance.readonly.enabled is true as well, so nobody can push at any time and nothing is gained. Remove one of the two.
{{- end }}
{{- /* The bounds of scripts/registry_gc/read_only_settings.py. */}}
{{- $expires := include "docker-registry.seconds" $gc.readOnlyExpires }}
{{- if and $expires (or (lt (int $expires) 10) (gt (int $expires) 2592000)) }}
- garbageCollect.readOnlyExpires is {{ include "docker-registry.text" $gc.readOnlyExpires }}, but whoever holds the switch says so four times within that time, and it ends by itself after it. Set 10s to 30d, such as 10m.
{{- end }}
{{- if eq (include "docker-registry.seconds" $gc.readOnlyTimeout) "0" }}
- garbageCollect.readOnlyTimeout is {{ include "docker-registry.text" $gc.readOnlyTimeout }}, in which no registry can be back from its restart. Set 15m.
{{- end }}
{{- end }}
